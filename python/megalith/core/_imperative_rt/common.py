"""Devices, element types and what describes a tensor."""

from ...device import (
    CompNode,
    as_device,
    get_cuda_driver_version,
    get_cuda_version,
    get_cudnn_version,
    get_tensorrt_version,
    set_prealloc_config,
    what_is_xpu,
)
from ..ops._opdef import OpDef
from ..tensor._graph_run import TensorAttr
from ..tensor.dtype import bfloat16, get_scale, get_zero_point, intb1, intb2, intb4, is_dtype_equal, is_quantize

pybfloat16, pyintb1, pyintb2, pyintb4 = (dtype.type for dtype in (bfloat16, intb1, intb2, intb4))


class OperatorNodeConfig:
    """Name, element type and devices that a graph's operator is asked to have."""

    def __init__(self):
        self.name = None
        self.dtype = None
        self._devices = ()

    @property
    def comp_node_arr(self) -> tuple:
        """Its devices."""
        return self._devices

    @comp_node_arr.setter
    def comp_node_arr(self, devices):
        self._devices = tuple(as_device(d) for d in devices)

    @property
    def comp_node(self) -> CompNode:
        """Its device."""
        if len(self._devices) != 1:
            raise ValueError(f"there are {len(self._devices)} devices, not one")
        return self._devices[0]

    @comp_node.setter
    def comp_node(self, device):
        self._devices = (as_device(device),)


def invoke_op(op: OpDef, args, config=None) -> list:
    """Calls an op on graph variables."""
    from .core2 import apply

    return apply(op, *args)


def get_supported_sm_versions() -> str:
    """The GPUs that this build knows: none."""
    return ""
