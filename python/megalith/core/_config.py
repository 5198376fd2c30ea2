"""Settings of the execution; most of them choose between CUDA algorithms and are kept so that programs run."""

from contextlib import contextmanager

_compute_mode = "default"
_benchmark_kernel = False
_deterministic_kernel = False


def _reset_execution_config(benchmark_kernel=None, deterministic_kernel=None, async_level=None, compute_mode=None):
    """Sets what is not None; returns the settings before."""
    global _benchmark_kernel, _deterministic_kernel, _compute_mode
    before = (_benchmark_kernel, _deterministic_kernel, async_level, _compute_mode)
    if benchmark_kernel is not None:
        _benchmark_kernel = benchmark_kernel
    if deterministic_kernel is not None:
        _deterministic_kernel = deterministic_kernel
    if compute_mode is not None:
        _compute_mode = compute_mode
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
