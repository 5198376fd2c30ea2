"""Models of other runtimes, which MegEngine runs on their devices; this build has none of them."""

from typing import List


def _missing(name: str):
    raise RuntimeError(f"{name} needs its device's runtime: this build computes on the CPU")


def extern_opr_subgraph(inputs, output_shapes: List[tuple], dump_name: str, dump_data: bytes, output_dtypes):
    """Raises: a model of another runtime can't be run."""
    _missing("extern_opr_subgraph")


def tensorrt_runtime_opr(inputs, *, data: bytes = None):
    """Raises: TensorRT can't be run."""
    _missing("tensorrt_runtime_opr")


def cambricon_runtime_opr(inputs, data, symbol, tensor_dim_mutable):
    """Raises: a Cambricon model can't be run."""
    _missing("cambricon_runtime_opr")


def atlas_runtime_opr(inputs, data):
    """Raises: an Atlas model can't be run."""
    _missing("atlas_runtime_opr")


def magicmind_runtime_opr(inputs, data):
    """Raises: a MagicMind model can't be run."""
    _missing("magicmind_runtime_opr")
