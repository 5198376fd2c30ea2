"""Programs: ``python -m megalith.tools.profiler script.py``, ``python -m megalith.tools.load_network_and_run model.mge``."""
