"""Devices as MegEngine's core wraps them."""

from ..device import CompNode, as_device

Device = CompNode
