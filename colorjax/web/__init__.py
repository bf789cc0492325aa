"""The page of guided colourisation: `colorjax serve`. Nothing here is imported before that command asks for it.

`server` (starts and ends it), `addresses`, `connections` and `security` (who is let in), `app` (what is answered), `bodies`
(uploads), `sessions` (whose photographs are whose), `lanes` and `work` (whose turn it is, and the colouring), `zipped` (all
copies).
"""

__all__ = ["server"]
