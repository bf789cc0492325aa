"""Films: frames in, the same frames in colour out.

`shots` (where a film is cut), `flow` (where things went from frame to frame), `following` (the frames of a shot, each beside
its neighbours), `carrying` (hints along the flow), `steadying` (the colour of a shot, without flicker).
"""

__all__ = ["carrying", "flow", "following", "shots", "steadying"]
