"""Custom ops: there are none that Python could load."""


def _get_custom_op_list() -> list:
    """Names of the loaded custom ops."""
    return []


def unload(name: str):
    """Unloads a library of custom ops; none can be loaded."""
    raise RuntimeError(f"no custom ops {name!r} are loaded")


def load(lib_path: str):
    """Raises: libraries of custom ops are built against MegEngine and can't be loaded."""
    raise RuntimeError(f"{lib_path}: custom ops are built against MegEngine and can't be loaded")
