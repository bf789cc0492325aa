"""What this version is called; `pyproject.toml` reads it here."""

VERSION = "0.1.0"
