"""Settings of the execution; most of them choose between CUDA algorithms and are kept so that programs run."""

import sys
import types
from contextlib import contextmanager

from .._errors import ArgumentError
from ._options import get_option, set_option

_FLAGS = ("benchmark_kernel", "benchmark_with_subprocess", "deterministic_kernel", "_auto_format_convert")
_values = dict.fromkeys(_FLAGS, False)
_mode = "default"


def _flag(name: str):
    def get(_):
        return _values[name]

    def put(_, value: bool):
        _values[name] = bool(value)

    return property(get, put, doc=f"The setting ``{name}``.")


class Settings(types.ModuleType):
    """A module whose settings are properties, so that every module that shows them has the same values."""

    @property
    def async_level(self) -> int:
        """When errors of a call are raised: 0 at once, 2 whenever a value is asked for. Here always at once."""
        return get_option("async_level")

    @async_level.setter
    def async_level(self, level: int):
        if level not in (0, 1, 2):
            raise ArgumentError(f"async_level is 0, 1 or 2, not {level!r}")
        set_option("async_level", level)

    @property
    def disable_memory_forwarding(self) -> bool:
        """Whether results never share their inputs' memory; accepted for compatibility."""
        return bool(get_option("disable_memory_forwarding"))

    @disable_memory_forwarding.setter
    def disable_memory_forwarding(self, value: bool):
        set_option("disable_memory_forwarding", int(bool(value)))

    @property
    def _compute_mode(self) -> str:
        return _mode

    @_compute_mode.setter
    def _compute_mode(self, mode: str):
        global _mode
        if mode not in ("default", "float32"):
            raise ArgumentError(f"the compute mode is 'default' or 'float32', not {mode!r}")
        _mode = mode


for _name in _FLAGS:
    setattr(Settings, _name, _flag(_name))
sys.modules[__name__].__class__ = Settings


def get_auto_format_convert() -> bool:
    """Whether images change their memory format by themselves."""
    return _values["_auto_format_convert"]


def set_auto_format_convert(value: bool):
    """Sets whether images change their memory format by themselves."""
    _values["_auto_format_convert"] = bool(value)


def _reset_execution_config(benchmark_kernel=None, deterministic_kernel=None, async_level=None, compute_mode=None):
    """Sets what is not None; returns the settings before."""
    me = sys.modules[__name__]
    names = ("benchmark_kernel", "deterministic_kernel", "async_level", "_compute_mode")
    before = tuple(getattr(me, name) for name in names)
    given = (benchmark_kernel, deterministic_kernel, async_level, compute_mode)
    for name, value in zip(names, given):
        if value is not None:
            setattr(me, name, value)
    return before


@contextmanager
def _override(benchmark_kernel=None, deterministic_kernel=None, async_level=None, compute_mode=None):
    """Settings for a ``with`` block."""
    before = _reset_execution_config(benchmark_kernel, deterministic_kernel, async_level, compute_mode)
    try:
        yield
    finally:
        _reset_execution_config(*before)


def _get_actual_op_param(function_param, config_param):
    return function_param if config_param == "default" else config_param
