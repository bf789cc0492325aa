"""Measurements of colorjax; README.md says which script answers which question."""
