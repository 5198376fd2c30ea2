"""SublinearMemoryConfig, by MegEngine's path."""

from .config import SublinearMemoryConfig

__all__ = ["SublinearMemoryConfig"]
