"""DTRConfig, by MegEngine's path."""

from .config import DTRConfig

__all__ = ["DTRConfig"]
