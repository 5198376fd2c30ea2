"""Grad: the tape below GradManager, with a callback for each tensor's gradient."""

import weakref

from ... import _core
from ...autodiff.function import Function

_alive = weakref.WeakSet()


def get_grad_managers() -> list:
    """The Grads that are alive."""
    return list(_alive)


class Grad:
    """Remembers what is computed from some tensors and goes back through it once.

    Examples:
        >>> import megalith as mge
        >>> from megalith.core.autodiff.grad import Grad
        >>> x = mge.Tensor([1.0, 2.0])
        >>> with Grad() as grad:
        ...     grad = grad.wrt(x, callback=lambda g: print(g.numpy()))
        ...     y = x * x
        ...     grad(y, mge.Tensor([1.0, 1.0]))
        [2. 4.]
    """

    def __init__(self, name=None):
        self._name = name or f"grad_{id(self)}"
        self._tape = _core.Tape()
        self._wrt = []
        self._pause = None
        _alive.add(self)

    def wrt(self, *tensors, callback=None) -> "Grad":
        """Watches tensors; ``callback(grad)`` gets the gradient of each."""
        for tensor in tensors:
            self._tape.watch(tensor)
            self._wrt.append((weakref.ref(tensor), callback))
        return self

    def _is_attached_to(self, tensor) -> bool:
        return any(ref() is tensor for ref, _ in self._wrt)

    def __call__(self, ys, dys):
        """Computes the gradients of ``sum(ys * dys)`` and calls the callbacks."""
        if self._tape is None:
            raise RuntimeError("this Grad is closed")
        ys = list(ys) if isinstance(ys, (list, tuple)) else [ys]
        dys = list(dys) if isinstance(dys, (list, tuple)) else [dys]
        watched = [(ref(), callback) for ref, callback in self._wrt if ref() is not None]
        grads = self._tape.gradients(ys, dys, [tensor for tensor, _ in watched])
        for (tensor, callback), grad in zip(watched, grads):
            if grad is not None and callback is not None:
                callback(grad)

    def suppress(self):
        """Stops remembering, until :meth:`resume`."""
        self._pause = _core.NoTape()

    def resume(self):
        """Remembers again."""
        self._pause = None

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, traceback):
        self._pause = None
        if self._tape is not None:
            self._tape.release()
            self._tape = None
