"""Logging: one format for everything, to stderr or a file."""

import logging
import os
import sys

_loggers = []
_level = getattr(logging, os.environ.get("MGE_LOGGING_LEVEL", "INFO").upper(), logging.INFO)
_file = None

_COLORS = {logging.DEBUG: "35", logging.WARNING: "1;31", logging.ERROR: "1;41", logging.CRITICAL: "1;41"}
_TAGS = {logging.DEBUG: "DBG", logging.WARNING: "WRN", logging.ERROR: "ERR", logging.CRITICAL: "ERR"}


class MegEngineLogFormatter(logging.Formatter):
    """Date and time, then the message; levels other than INFO are named, in colour on a terminal."""

    date_full = "[%(asctime)s %(lineno)d@%(filename)s:%(name)s] "
    date = "%(asctime)s "
    msg = "%(message)s"
    max_lines = 256
    colored = True

    def __init__(self, fmt=None, datefmt=None, style="%", validate=True):
        super().__init__(fmt, datefmt or "%d %H:%M:%S", style, validate)

    def _shortened(self, text):
        lines = text.splitlines()
        if len(lines) <= self.max_lines:
            return text
        return "\n".join(lines[: self.max_lines]) + f"\n... ({len(lines) - self.max_lines} more lines)"

    def format(self, record):
        """The text of a record."""
        prefix = self.date if record.levelno in (logging.INFO, logging.WARNING) else self.date_full
        values = {**record.__dict__, "asctime": self.formatTime(record, self.datefmt)}
        prefix = prefix % values
        tag = _TAGS.get(record.levelno, "")
        if self.colored:
            prefix = f"\x1b[32m{prefix}\x1b[0m"
            if tag:
                tag = f"\x1b[{_COLORS[record.levelno]}m{tag}\x1b[0m"
        text = prefix + (tag + " " if tag else "") + self._shortened(record.getMessage())
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


class MegBrainLogFormatter(MegEngineLogFormatter):
    """The format for messages of the core."""

    date = date_full = "[%(asctime)s] "


class _Plain:
    """A formatter without colours, for files."""

    def __init__(self, formatter):
        self.formatter = formatter
        formatter.colored = False

    def format(self, record):
        return self.formatter.format(record)


def get_logger(name=None, formatter=MegEngineLogFormatter):
    """A logger that writes to stderr and to the file of :func:`set_log_file`.

    Examples:
        >>> import megalith as mge
        >>> mge.get_logger("train").name
        'train'
    """
    logger = logging.getLogger(name)
    if getattr(logger, "_megalith", False):
        return logger
    logger._megalith = True
    logger.propagate = False
    logger.setLevel(_level)
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(datefmt="%d %H:%M:%S"))
    handler.formatter.colored = hasattr(sys.stderr, "isatty") and sys.stderr.isatty()
    logger.handlers = [handler]
    if _file is not None:
        _add_file(logger, formatter)
    _loggers.append((logger, formatter))
    return logger


def _add_file(logger, formatter):
    handler = logging.StreamHandler(_file)
    handler.setFormatter(_Plain(formatter(datefmt="%Y-%m-%d %H:%M:%S")))
    logger.addHandler(handler)


def set_log_file(fout, mode="a"):
    """Makes all loggers write to a file as well.

    Args:
        fout: path or a text file.
        mode: how a path is opened.
    """
    global _file
    _file = open(fout, mode) if isinstance(fout, str) else fout
    for logger, formatter in _loggers:
        _add_file(logger, formatter)


def set_log_level(level, update_existing=True):
    """Sets the least level that is written.

    Args:
        level: a number or name of :mod:`logging`.
        update_existing: whether loggers that exist change as well.

    Returns:
        The level before.
    """
    global _level
    before, _level = _level, logging.getLevelName(level) if isinstance(level, str) else level
    if not isinstance(_level, int):
        _level, wrong = before, _level
        raise ValueError(f"set_log_level: there is no level {wrong}")
    if update_existing:
        for logger, _ in _loggers:
            logger.setLevel(_level)
    return before


_core_level = logging.WARNING


def set_mgb_log_level(level):
    """Sets the level for messages of the core, which writes none below warnings; returns the level before."""
    global _core_level
    before, _core_level = _core_level, level
    return before


class replace_mgb_log_level:
    """Within ``with``, another level for messages of the core."""

    def __init__(self, level):
        self.level = level

    def __enter__(self):
        self.before = set_mgb_log_level(self.level)

    def __exit__(self, *_):
        set_mgb_log_level(self.before)


def enable_debug_log():
    """Writes everything, from debugging messages on."""
    set_log_level(logging.DEBUG)
    set_mgb_log_level(logging.DEBUG)
