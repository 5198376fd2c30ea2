"""Switches of tracing."""

_use_symbolic_shape = False
_use_xla_backend = False


def use_symbolic_shape() -> bool:
    """Whether shapes of graph variables are variables."""
    return _use_symbolic_shape


def set_symbolic_shape(option: bool) -> bool:
    """Sets whether shapes of graph variables are variables; returns what was set before."""
    global _use_symbolic_shape
    before, _use_symbolic_shape = _use_symbolic_shape, bool(option)
    return before


def use_xla_backend() -> bool:
    """Whether traced functions run on XLA: never here."""
    return _use_xla_backend


def set_use_xla_backend(option: bool) -> bool:
    """Only ``False`` can be set; returns what was set before."""
    if option:
        raise RuntimeError("there is no XLA backend")
    return False
