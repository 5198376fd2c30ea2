"""Strings by category and key that outlive the process: where MegEngine keeps which kernels ran fast."""

import json
import os
import tempfile
from collections import namedtuple

from .. import logger

Config = namedtuple("Config", ["type", "options"])


class PersistentCacheOnServer:
    """A cache in a file of the user; ``MGE_FASTRUN_CACHE_DIR`` says in which folder, ``MGE_FASTRUN_CACHE_TYPE=MEMORY``
    that it is kept for this process only. There are no caches on a server.

    Examples:
        >>> import os
        >>> os.environ["MGE_FASTRUN_CACHE_TYPE"] = "MEMORY"
        >>> from megalith.utils.persistent_cache import PersistentCacheOnServer
        >>> cache = PersistentCacheOnServer()
        >>> cache.put("colours", "sky", "blue")
        >>> cache.get("colours", "sky"), cache.get("colours", "sea")
        ('blue', None)
        >>> del os.environ["MGE_FASTRUN_CACHE_TYPE"]
    """

    def __init__(self):
        self._values = None
        self._changed = False
        self._configs = []
        kind = os.getenv("MGE_FASTRUN_CACHE_TYPE")
        if kind not in ("FILE", "MEMORY") and os.getenv("MGE_FASTRUN_CACHE_URL"):
            logger.get_logger().error("there are no caches on a server; the cache is a file")
        if kind != "MEMORY":
            path = self.get_cache_file(self.get_cache_dir())
            self.add_config("in-file", {"path": path}, f"cache in {path}", f"can't read the cache {path}")
        self.add_config("in-memory", {}, "cache in memory", "no cache in memory")

    def add_config(self, type: str, options: dict, found: str, failed: str):
        """Adds a place for the cache; the first that works is used. ``found`` and ``failed`` are messages for the log."""
        self._configs.append((Config(type, dict(options)), found, failed))

    @property
    def config(self):
        """The place that is used, once something was read or written."""
        return None if self._values is None else self._config

    def _load(self) -> dict:
        if self._values is None:
            for config, found, failed in self._configs:
                try:
                    values = self._read(config)
                except (OSError, ValueError):
                    logger.get_logger().error(failed)
                    continue
                logger.get_logger().debug(found)
                self._config, self._values = config, values
                return values
            raise RuntimeError("there is no place for the cache")
        return self._values

    @staticmethod
    def _read(config):
        if config.type == "in-memory":
            return {}
        if config.type != "in-file":
            raise ValueError(f"there is no cache of type {config.type!r}")
        with open(config.options["path"]) as f:
            text = f.read()
        return json.loads(text) if text else {}

    def get(self, category: str, key: str):
        """What was put there, or None."""
        return self._load().get(category, {}).get(key)

    def put(self, category: str, key: str, value: str):
        """Keeps a string; :meth:`flush` writes it to the file."""
        self._load().setdefault(str(category), {})[str(key)] = str(value)
        self._changed = True

    def clean(self) -> int:
        """Forgets everything, in the file too; the number of strings."""
        values = self._load()
        n = sum(map(len, values.values()))
        values.clear()
        self._changed = True
        self.flush()
        return n

    def flush(self):
        """Writes the file, when something was put."""
        if not self._changed or self._config.type != "in-file":
            return
        path = self._config.options["path"]
        fd, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
        with os.fdopen(fd, "w") as f:
            json.dump(self._values, f)
        os.replace(temporary, path)
        self._changed = False

    def get_cache_dir(self) -> str:
        """The folder of the cache; it is made when it is not there."""
        from ..hub.hub import _get_megengine_home

        folder = os.getenv("MGE_FASTRUN_CACHE_DIR") or os.path.join(_get_megengine_home(), "persistent_cache")
        os.makedirs(os.path.expanduser(folder), exist_ok=True)
        return os.path.expanduser(folder)

    def get_cache_file(self, cache_dir: str) -> str:
        """The file in a folder; it is made when it is not there."""
        path = os.path.join(cache_dir, "cache.bin")
        with open(path, "a"):
            pass
        return path


def main():
    """``python -m megalith.utils.persistent_cache clean`` empties the cache."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["clean"])
    parser.parse_args()
    print(f"{PersistentCacheOnServer().clean()} cache entries deleted")


if __name__ == "__main__":
    main()
