"""What a name that MegEngine has and Megalith has not says when it is asked for."""


def module_getattr(module: str):
    """A module-level ``__getattr__`` for ``module``.

    Imports submodules that were not imported yet, as attribute access to them works in MegEngine.
    """
    import importlib
    import importlib.util

    def __getattr__(name: str):
        if not name.startswith("__"):
            full = f"{module}.{name}"
            if importlib.util.find_spec(full) is not None:
                return importlib.import_module(full)
        raise AttributeError(f"Megalith does not have {module.replace('megalith', 'megengine', 1)}.{name}")

    return __getattr__
