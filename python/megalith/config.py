"""Settings of MegEngine's execution; they choose among CUDA algorithms and queues, and are kept so that programs run."""

from .core._config import _override, _reset_execution_config  # noqa: F401

async_level = 2
benchmark_kernel = False
benchmark_with_subprocess = False
deterministic_kernel = False
disable_memory_forwarding = False
