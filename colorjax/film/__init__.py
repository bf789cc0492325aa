"""Films: frames in, the same frames in colour out.

`shots` (where a film is cut), `flow` (where things went from frame to frame), `exposure` (flicker of the light), `carrying`
(hints along the flow), `steadying` (the colour of a shot, without flicker).
"""

__all__ = ["carrying", "exposure", "flow", "shots", "steadying"]
