"""GradManager: remembers what happens to attached tensors and computes their gradients."""

import weakref
from typing import Iterable

from .. import _core
from .._errors import ArgumentError, ArgumentTypeError

_backwarded = None  # the tensors of the backward() that is running


def get_backwarded_tensors():
    """The tensors whose ``backward`` is running now, or None."""
    return _backwarded


def _same_shape(y, dy):
    """Whether dy can be a gradient of y; for a scalar, any single element is one."""
    shape, given = tuple(y._tuple_shape), tuple(dy._tuple_shape)
    return shape == given or (shape == () and all(n == 1 for n in given))


class _Attached:
    """A tensor that wants a gradient, held weakly, and what to do with the gradient."""

    __slots__ = ("tensor", "callbacks", "value")

    def __init__(self, tensor, on_drop):
        self.tensor = weakref.ref(tensor, on_drop)
        self.callbacks = []
        self.value = None  # what the tensor held when recording began

    def watch(self, tape):
        """Makes a tape remember what happens to the tensor's value; the tensor may get another one."""
        tensor = self.tensor()
        tape.watch(tensor)
        self.value = tensor._with_scalar(tensor._scalar)


class GradManager:
    """Computes gradients of tensors by going back through what was computed from them.

    Between :meth:`record` and :meth:`backward` (or inside ``with gm:``) every op on an attached tensor is remembered.
    ``backward`` adds to the ``grad`` of each attached tensor and forgets.

    Examples:
        >>> import megalith as mge
        >>> from megalith.autodiff import GradManager
        >>> x = mge.Tensor([1.0, 2.0])
        >>> gm = GradManager().attach(x)
        >>> with gm:
        ...     gm.backward(x * x)
        >>> x.grad
        Tensor([2. 4.], device=xpux:0)

    Gradients of gradients need a second manager around the first one.
    """

    def __init__(self):
        self._attached = {}  # id of the tensor -> _Attached
        self._after_backward = []
        self._tape = None

    def attached_tensors(self) -> list:
        """The attached tensors that are still alive."""
        tensors = (spec.tensor() for spec in self._attached.values())
        return [t for t in tensors if t is not None]

    def attach(self, tensors: Iterable, callbacks=None) -> "GradManager":
        """Makes :meth:`backward` compute gradients of tensors.

        Args:
            tensors: a Tensor or an iterable of Tensors; they are held weakly.
            callbacks: a function or a list of functions ``callback(tensor, grad) -> grad``, called in this order before the
                gradient is added to ``tensor.grad``.

        Returns:
            This manager.

        Raises:
            TypeError: something to attach is no Tensor.
        """
        if callbacks is None:
            callbacks = []
        elif callable(callbacks):
            callbacks = [callbacks]
        if isinstance(tensors, _core.TensorBase):
            tensors = [tensors]
        for tensor in tensors:
            if not isinstance(tensor, _core.TensorBase):
                raise ArgumentTypeError(f"GradManager attaches Tensors, not {type(tensor).__name__}")
            if tensor._dtype[0] not in (0, 9, 17):
                raise ArgumentTypeError(
                    f"GradManager attaches Tensors of floating point numbers, not of {tensor.dtype}"
                )
            key = id(tensor)
            spec = self._attached.get(key)
            if spec is None or spec.tensor() is not tensor:
                spec = self._attached[key] = _Attached(tensor, self._forget(key))
                if self._tape is not None:
                    spec.watch(self._tape)
            spec.callbacks.extend(callbacks)
        return self

    def _forget(self, key):
        me = weakref.ref(self)

        def drop(ref):
            manager = me()
            if manager is not None and key in manager._attached and manager._attached[key].tensor is ref:
                del manager._attached[key]

        return drop

    def _register_after_backward_callback(self, callback):
        self._after_backward.append(callback)
        return self

    def record(self):
        """Starts to remember.

        Raises:
            RuntimeError: it is recording already.
        """
        if self._tape is not None:
            raise RuntimeError("already recording")
        self._tape = _core.Tape()
        for spec in list(self._attached.values()):
            if spec.tensor() is not None:
                spec.watch(self._tape)

    def release(self):
        """Stops remembering and frees what was kept; no gradients are computed."""
        if self._tape is not None:
            self._tape.release()
            self._tape = None
            for spec in self._attached.values():
                spec.value = None

    def backward(self, y=None, dy=None):
        """Adds to the ``grad`` of each attached tensor the gradient of ``sum(y * dy)``, then stops remembering.

        Args:
            y: a Tensor or a list of Tensors.
            dy: what flows into ``y``, of the same shapes; ones by default.

        Raises:
            RuntimeError: nothing was recorded.
        """
        global _backwarded
        if self._tape is None:
            raise RuntimeError(
                "no computation history. did you forget record() or call a method that clears the history?"
            )
        ys = [] if y is None else [y] if isinstance(y, _core.TensorBase) else list(y)
        dys = [None] * len(ys) if dy is None else list(dy) if isinstance(dy, (list, tuple)) else [dy]
        if len(ys) != len(dys):
            raise ArgumentError(f"backward of {len(ys)} tensors takes as many gradients, not {len(dys)}")
        for one, d in zip(ys, dys):
            if not isinstance(one, _core.TensorBase):
                raise ArgumentTypeError(f"backward takes Tensors, not {type(one).__name__}")
            if d is not None and not isinstance(d, _core.TensorBase):
                raise ArgumentTypeError(f"a gradient is a Tensor, not a {type(d).__name__}")
            if d is not None and not _same_shape(one, d):
                raise _core.OpError(
                    f"backward of a tensor of shape {tuple(one._tuple_shape)} got a gradient of shape {tuple(d._tuple_shape)}"
                )
        specs = [spec for spec in self._attached.values() if spec.tensor() is not None]
        tensors = [spec.tensor() for spec in specs]
        try:
            _backwarded = ys
            grads = self._tape.gradients(ys, dys, [spec.value for spec in specs])
            for spec, tensor, grad in zip(specs, tensors, grads):
                if grad is None:
                    continue
                for callback in spec.callbacks:
                    grad = callback(tensor, grad)
                tensor.grad = grad if tensor.grad is None else tensor.grad + grad
            for callback in self._after_backward:
                callback()
        finally:
            self.release()
            _backwarded = None

    def __enter__(self):
        self.record()
        return self

    def __exit__(self, exc_type, exc, traceback):
        self.release()

    def __or__(self, other):
        if isinstance(other, (GradManager, GradManagerGroup)):
            return GradManagerGroup([self]) | other
        return NotImplemented


class GradManagerGroup:
    """Several managers that record together: ``with gm1 | gm2:``."""

    def __init__(self, gms):
        self._managers = list(gms)

    def merge_with(self, other) -> "GradManagerGroup":
        """A group of these managers and another one, or those of another group."""
        return self | other

    def __or__(self, other):
        if isinstance(other, GradManager):
            return GradManagerGroup([*self._managers, other])
        if isinstance(other, GradManagerGroup):
            return GradManagerGroup([*self._managers, *other._managers])
        return NotImplemented

    __ror__ = __or__

    def __enter__(self):
        for manager in self._managers:
            manager.record()
        return self

    def __exit__(self, exc_type, exc, traceback):
        for manager in self._managers:
            manager.release()
