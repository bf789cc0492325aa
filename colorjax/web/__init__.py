"""The page of guided colourisation: `colorjax serve`. Nothing here is imported before that command asks for it."""
