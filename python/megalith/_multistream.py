"""Order among streams of one device; calls here run one after another."""

from .core._imperative_rt.core2 import apply
from .core.ops._opdef import classes
from .tensor import Tensor


def record_event(device):
    """What :func:`wait_event` waits for: all that was called so far."""
    (event,) = apply(classes()["Barrier"](device, 1), Tensor([0.0], device=device))
    return event


def wait_event(device, event):
    """Waits for an event."""
    apply(classes()["Barrier"](device, 0), event)
