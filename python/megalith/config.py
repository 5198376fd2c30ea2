"""Settings of MegEngine's execution; they choose among CUDA algorithms and queues, and are kept so that programs run."""

import sys

from .core._config import Settings, _override, _reset_execution_config  # noqa: F401

sys.modules[__name__].__class__ = Settings
del Settings
