"""Options of MegEngine's asynchronous executor, kept so that programs may set them; calls here run at once."""

from .. import _core

_options = {
    "async_level": 2, "enable_drop": 0, "max_recompute_time": 1, "catch_worker_execption": 1, "enable_host_compute": 1,
    "enable_dtr_auto_drop": 0, "enable_dtr_sqrt_sampling": 0, "dtr_eviction_threshold": 0,
    "dtr_evictee_minimum_size": 1048576, "record_computing_path": 0, "enable_auto_drop": 0, "buffer_length": 0,
    "disable_memory_forwarding": 0,
}  # fmt: skip


def get_option(name: str) -> int:
    """The value of an option."""
    if name not in _options:
        raise _core.IndexingError(f"there is no option {name!r}")
    return _options[name]


def set_option(name: str, value: int):
    """Sets an option."""
    get_option(name)
    _options[name] = int(value)
