"""Devices by MegEngine's names: ``xpux`` (the default), ``cpux``, ``cpu0:1``."""

import os
import re

from ._errors import ArgumentError

__all__ = ["get_default_device", "set_default_device", "get_device_count", "is_cuda_available", "is_cambricon_available",
           "is_atlas_available", "is_rocm_available", "get_cuda_compute_capability", "set_prealloc_config",
           "get_mem_status_bytes", "get_max_reserved_memory", "get_reserved_memory", "get_max_allocated_memory",
           "get_allocated_memory", "reset_max_memory_stats", "what_is_xpu", "coalesce_free_memory"]  # fmt: skip

_NAME = re.compile(r"^(xpu|cpu|gpu|cuda|rocm|cambricon|atlas|multithread)(x|\d+)(:(\d+))?$")


class CompNode:
    """A device, as tensors name it.

    Args:
        name: MegEngine's name, such as ``xpux``, ``cpu0`` or ``xpux:1``.
    """

    __slots__ = ("_kind", "_number", "_stream")

    def __init__(self, name: str = "xpux"):
        if isinstance(name, CompNode):
            self._kind, self._number, self._stream = name._kind, name._number, name._stream
            return
        match = _NAME.match(name) if isinstance(name, str) else None
        if match is None:
            raise ArgumentError(f"{name!r} is no device: use xpux, cpux or cpu0")
        if match[1] not in ("xpu", "cpu", "multithread"):
            raise RuntimeError(f"device {name!r} is not available: this build computes on the CPU")
        self._kind, self._number, self._stream = match[1], match[2], int(match[4] or 0)

    @property
    def logical_name(self) -> str:
        """The name it was asked for."""
        return f"{self._kind}{self._number}:{self._stream}"

    @property
    def physical_name(self) -> str:
        """The name of the hardware."""
        return f"cpu{0 if self._number == 'x' else self._number}:{self._stream}"

    def __str__(self):
        return self.logical_name

    def __repr__(self):
        return f'CompNode("{self.physical_name}" from "{self.logical_name}")'

    def __eq__(self, other):
        if isinstance(other, str):
            try:
                other = CompNode(other)
            except (ValueError, RuntimeError):
                return False
        return isinstance(other, CompNode) and self.physical_name == other.physical_name

    def __hash__(self):
        return hash(self.physical_name)

    def __reduce__(self):
        return (CompNode, (self.logical_name,))


_default = CompNode("xpux")
_places = [None]  # devices by the number that their tensors carry


def as_device(device) -> CompNode:
    """The device of a name, or the default of ``None``."""
    if device is None:
        return _default
    return device if isinstance(device, CompNode) else CompNode(device)


def place_of(device) -> int:
    """The number by which tensors name a device; 0 for the default one of ``None``."""
    if device is None:
        return 0
    device = as_device(device)
    for i, other in enumerate(_places):
        if other is not None and other.logical_name == device.logical_name:
            return i
    _places.append(device)
    return len(_places) - 1


def device_at(place: int):
    """The device of a number, or None."""
    return _places[place]


def set_default_device(device: str = "xpux"):
    """Sets the device of tensors that name none."""
    global _default
    _default = CompNode(device)


def get_default_device() -> str:
    """The device of tensors that name none."""
    return str(_default).rsplit(":", 1)[0]


def get_device_count(device_type: str) -> int:
    """How many devices of a type (``cpu``, ``gpu``, ``xpu``) there are."""
    if device_type in ("cpu", "xpu"):
        return os.cpu_count() or 1
    if device_type in ("gpu", "cuda", "rocm", "cambricon", "atlas"):
        return 0
    raise ArgumentError(f"{device_type!r} is no device type")


def is_cuda_available() -> bool:
    """Whether tensors can live on an NVIDIA GPU."""
    return False


def is_cambricon_available() -> bool:
    """Whether tensors can live on a Cambricon device."""
    return False


def is_atlas_available() -> bool:
    """Whether tensors can live on an Atlas device."""
    return False


def is_rocm_available() -> bool:
    """Whether tensors can live on an AMD GPU."""
    return False


def what_is_xpu() -> str:
    """The kind of device that ``xpu`` stands for."""
    return "cpu"


def get_cuda_compute_capability(device: int, device_type="gpu") -> int:
    """Raises: there is no such device."""
    raise RuntimeError(f"there is no {device_type}{device}: this build computes on the CPU")


def _no_cuda() -> int:
    """Raises: this build computes on the CPU."""
    raise RuntimeError("this build computes on the CPU")


get_cuda_version = get_cuda_driver_version = get_cudnn_version = get_tensorrt_version = _no_cuda


def get_cuda_device_property(device: int, device_type="gpu"):
    """Raises: there is no such device."""
    return get_cuda_compute_capability(device, device_type)


def set_prealloc_config(alignment: int = 1, min_req: int = 32 * 1024 * 1024, max_overhead: int = 0,
                        growth_factor: float = 2.0, device_type: str = "gpu"):  # fmt: skip
    """Accepted for compatibility: GPU memory is not used."""


def get_mem_status_bytes(device=None):
    """(total, free) bytes of memory."""
    pages, free, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return pages * size, free * size


def _resident() -> int:
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def get_reserved_memory(device=None) -> int:
    """Bytes of memory that this process holds."""
    return _resident()


get_allocated_memory = get_reserved_memory


def get_max_reserved_memory(device=None) -> int:
    """Most bytes of memory that this process held."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


get_max_allocated_memory = get_max_reserved_memory


def reset_max_memory_stats(device=None):
    """Accepted for compatibility: the system keeps the peak."""


def coalesce_free_memory():
    """Gives freed memory back to the system where it can."""
