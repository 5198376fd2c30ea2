"""Stochastic gradient descent."""

from typing import Iterable, Union

from .._errors import require
from ..functional._compose import elwise
from ..tensor import Parameter
from .optimizer import Optimizer, check_settings, live


class SGD(Optimizer):
    """Stochastic gradient descent: `v = momentum * v + grad`, `param -= lr * v`.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        momentum: how much of the last change is kept.
        nesterov: whether to look ahead by another `momentum * v`.
        weight_decay: times the parameter, is added to its gradient.

    Examples:
        >>> import megalith as mge
        >>> from megalith.autodiff import GradManager
        >>> w = mge.Parameter([1.0])
        >>> opt = mge.optimizer.SGD([w], lr=0.25)
        >>> with GradManager().attach(w) as gm:
        ...     gm.backward(w * w)
        >>> _ = opt.step()
        >>> w
        Parameter([0.5], device=xpux:0)
    """

    def __init__(
        self,
        params: Union[Iterable[Parameter], dict],
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ):
        check_settings(lr=lr, momentum=momentum, weight_decay=weight_decay)
        require(not nesterov or momentum > 0.0, "Nesterov momentum requires a momentum")
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))
        self.nesterov = nesterov
        self._disable_type_convert = True

    def _create_state(self, param_group):
        if param_group["momentum"] != 0.0:
            for param in param_group["params"]:
                self._add_state(param, "momentum_buffer")

    def _updates(self, param_group):
        lr, decay, momentum = (float(param_group[k]) for k in ("lr", "weight_decay", "momentum"))
        for param in param_group["params"]:
            grad = param.grad
            if grad is None:
                continue
            if decay != 0.0:
                grad = elwise("FUSE_MUL_ADD3", param, decay, grad)
            if momentum != 0.0:
                v = self._state[param]["momentum_buffer"]
                v._reset(elwise("FUSE_MUL_ADD3", v, momentum, grad))
                grad = elwise("FUSE_MUL_ADD3", v, momentum, grad) if self.nesterov else v
            param._reset(elwise("FUSE_MUL_ADD3", grad, live(-lr), param))
