"""The page of guided colourisation: `colorjax serve`. Nothing here is imported before that command asks for it.

`server` (starts and ends it), `addresses`, `connections` and `security` (who is let in), `app` (what is answered), `bodies`
(uploads), `sessions` (whose photographs are whose), `looks` (how each is to look), `lanes` and `work` (whose turn it is, and
the colouring), `answers` (what they are answered), `films` (the same for films).
"""

__all__ = ["server"]
