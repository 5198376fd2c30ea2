"""Functions whose gradient is written in Python."""

from .. import _core
from .._errors import ArgumentTypeError


class Function:
    """A differentiable block with its own gradient.

    ``forward`` computes with Tensors as usual; ``backward`` takes the gradient of each result and returns one for each
    argument, or None where there is none. What ``backward`` needs is kept on ``self``, so use each instance once.

    Examples:
        >>> import megalith as mge
        >>> from megalith.autodiff import Function, GradManager
        >>> class Double(Function):
        ...     def forward(self, x):
        ...         return x * 2
        ...     def backward(self, dy):
        ...         return dy * 2
        >>> x = mge.Tensor([3.0])
        >>> with GradManager().attach(x) as gm:
        ...     gm.backward(Double()(x))
        >>> x.grad
        Tensor([2.], device=xpux:0)
    """

    def forward(self, *args, **kwargs):
        """Computes the results; override it."""
        raise NotImplementedError

    def backward(self, *output_grads):
        """Gradients of the arguments from those of the results; override it."""
        raise NotImplementedError

    def __call__(self, *args):
        for arg in args:
            if not isinstance(arg, _core.TensorBase):
                raise ArgumentTypeError(f"{type(self).__name__} takes Tensors, not a {type(arg).__name__}")
        pause = _core.NoTape()
        try:
            results = self.forward(*args)
        finally:
            del pause
        single = not isinstance(results, (tuple, list))
        # Results get links of their own: a forward that returns its argument must not relabel it.
        outputs = []
        for r in [results] if single else results:
            if not isinstance(r, _core.TensorBase):
                raise ArgumentTypeError(f"{type(self).__name__}.forward returns Tensors, but one is {type(r).__name__}")
            outputs.append(r._detach())

        def backward(*grads):
            back = self.backward(*grads)
            back = list(back) if isinstance(back, (tuple, list)) else [back]
            return (back + [None] * len(args))[: len(args)]  # MegEngine takes too few and too many

        _core.remember_custom(args, outputs, backward)
        return outputs[0] if single else type(results)(outputs)

    def __deepcopy__(self, memo):
        return type(self)()
