"""Programs: ``python -m megalith.tools.profiler script.py``, ``python -m megalith.tools.load_network_and_run model.mge``."""

from .._missing import module_getattr as _module_getattr

__getattr__ = _module_getattr(__name__)
