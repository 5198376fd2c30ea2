"""Versions."""

__version__ = "0.1.0"
git_version = ""
