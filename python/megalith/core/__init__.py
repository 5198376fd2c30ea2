"""What MegEngine scripts reach for under ``megengine.core``; no public API."""

from ._options import get_option, set_option


def __getattr__(name: str):
    if name == "Graph":
        from .tensor.megbrain_graph import Graph

        return Graph
    from .._missing import module_getattr

    return module_getattr(__name__)(name)
