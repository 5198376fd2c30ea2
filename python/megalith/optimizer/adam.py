"""Adam."""

from typing import Iterable, Tuple, Union

from ..functional._compose import elwise
from ..tensor import Parameter
from .optimizer import Optimizer, check_settings, f32, live, rest


def adam_delta(states, grad, betas, eps):
    """Updates the averages by a gradient and gives the direction of the step."""
    step, mean, square = states["step"], states["exp_avg"], states["exp_avg_sq"]
    beta0, beta1 = f32(betas[0]), f32(betas[1])
    step += 1.0
    mean._reset(elwise("FUSE_MUL_ADD4", mean, beta0, grad, rest(beta0)))
    square._reset(elwise("FUSE_MUL_ADD4", square, beta1, grad * grad, rest(beta1)))
    mean_scale = 1.0 - elwise("POW", beta0, step)
    square_scale = 1.0 - elwise("POW", beta1, step)
    return mean / mean_scale / (elwise("SQRT", square / square_scale) + eps)


class Adam(Optimizer):
    """Adam: steps along the mean of gradients over the root of the mean of their squares.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        betas: how much of the two means is kept.
        eps: added to the denominator.
        weight_decay: times the parameter, is added to its gradient.

    Examples:
        >>> import megalith as mge
        >>> w = mge.Parameter([1.0])
        >>> w.grad = mge.Tensor([3.0])
        >>> _ = mge.optimizer.Adam(w, lr=0.5).step()
        >>> w
        Parameter([0.5], device=xpux:0)
    """

    def __init__(
        self,
        params: Union[Iterable[Parameter], dict],
        lr: float,
        betas: Tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        check_settings(betas, lr=lr, weight_decay=weight_decay)
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, betas=betas, eps=eps))
        self._disable_type_convert = True

    def _create_state(self, param_group):
        for param in param_group["params"]:
            self._add_state(param, "exp_avg")
            self._add_state(param, "exp_avg_sq")
            self._add_state(param, "step", initializer=0.0)

    def _updates(self, param_group):
        lr, decay, eps = (float(param_group[k]) for k in ("lr", "weight_decay", "eps"))
        for param in param_group["params"]:
            grad = param.grad
            if grad is None:
                continue
            if decay != 0.0:
                grad = elwise("FUSE_MUL_ADD3", param, decay, grad)
            delta = adam_delta(self._state[param], grad, param_group["betas"], eps)
            param._reset(elwise("FUSE_MUL_ADD3", delta, live(-lr), param))
