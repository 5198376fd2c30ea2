"""How kernels are chosen on CUDA; kept so that programs run."""

from ..core import _config

_NAMES = ("HEURISTIC", "PROFILE", "REPRODUCIBLE")

__all__ = []


def get_execution_strategy() -> str:
    """The strategy of :func:`set_execution_strategy`."""
    name = "PROFILE" if _config.benchmark_kernel else "HEURISTIC"
    return name + "_REPRODUCIBLE" if _config.deterministic_kernel else name


def set_execution_strategy(option):
    """Accepts "HEURISTIC", "PROFILE" and "REPRODUCIBLE", joined by "_".

    Every kernel here is reproducible and chosen by shape, so this changes nothing but what
    :func:`get_execution_strategy` returns.

    Raises:
        ValueError: another name.
    """
    parts = str(option).split("_")
    for part in parts:
        if part not in _NAMES:
            raise ValueError(f"{part!r} is no execution strategy: join some of {', '.join(_NAMES)} with '_'")
    _config.benchmark_kernel = "PROFILE" in parts
    _config.deterministic_kernel = "REPRODUCIBLE" in parts


def get_conv_execution_strategy() -> str:
    """The old name of :func:`get_execution_strategy`."""
    return get_execution_strategy()


def set_conv_execution_strategy(option: str):
    """The old name of :func:`set_execution_strategy`."""
    set_execution_strategy(option)
