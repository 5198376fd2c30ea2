"""Logging and counters of MegEngine's native module."""

import enum
import threading

from ... import _core
from ... import logger as _logger


class Logger:
    """The level of messages of the core."""

    class LogLevel(enum.IntEnum):
        """From everything to errors alone."""

        Debug = 10
        Info = 20
        Warn = 30
        Error = 40

    @staticmethod
    def set_log_level(level) -> "Logger.LogLevel":
        """Sets the least level that is written; returns the one before."""
        return Logger.LogLevel(_logger.set_mgb_log_level(Logger.LogLevel(level)))


class AtomicUint64:
    """A counter that threads share."""

    def __init__(self, value: int = 0):
        self._value = int(value)
        self._lock = threading.Lock()

    def load(self) -> int:
        """Its value."""
        return self._value

    def store(self, value: int):
        """Sets it."""
        with self._lock:
            self._value = int(value)


class TensorSanityCheckImpl:
    """Makes calls that change their inputs errors."""

    def __init__(self):
        self._on = False

    def enable(self) -> "TensorSanityCheckImpl":
        """Begins."""
        if not self._on:
            _core.check_inputs(True)
            self._on = True
        return self

    def disable(self):
        """Ends."""
        if self._on:
            _core.check_inputs(False)
            self._on = False


def create_mm_server(addr: str, port: int) -> int:
    """Raises: tensors go to no other machine."""
    raise RuntimeError("there is no server for tensors: this build computes in one process")


def _get_device_count(kind, warn=False) -> int:
    from ...device import get_device_count

    return get_device_count(str(kind).lower())


def _defrag(device=None):
    """Accepted for compatibility."""


def _try_coalesce_all_free_memory():
    """Accepted for compatibility."""
