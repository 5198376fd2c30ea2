"""Devices as MegEngine's core wraps them."""

import numpy as np

from .. import device
from ..device import CompNode


class Device:
    """A device.

    Args:
        device: its name, a CompNode or a Device; None for the default one.
    """

    def __init__(self, device_=None):
        self._cn = device_._cn if isinstance(device_, Device) else device.as_device(device_)
        self.logical_name = self._cn.logical_name

    def to_c(self) -> CompNode:
        """The CompNode."""
        return self._cn

    def __repr__(self):
        return f"Device({self._cn!r})"

    def __str__(self):
        return self.logical_name

    def __hash__(self):
        return hash(self._cn)

    def __eq__(self, other):
        return isinstance(other, Device) and self._cn == other._cn


def as_device(obj) -> Device:
    """``obj`` as a Device."""
    return obj if isinstance(obj, Device) else Device(obj)
