"""LAMB."""

from typing import Iterable, Tuple, Union

from .. import _core
from ..functional._compose import elwise, reduce
from ..tensor import Parameter
from .optimizer import Optimizer, check_settings, f32, live, rest


def lamb_step(mean, square, param, grad, step, betas, lr, weight_decay, eps, bias_correction, always_adapt):
    """The two averages and the parameter after step number ``step``, in float32."""
    beta0, beta1 = (f32(b) for b in betas)
    grad, param = _core.astype(grad, 0), _core.astype(param, 0)
    mean = new_mean = beta0 * mean + rest(beta0) * grad
    square = new_square = beta1 * square + rest(beta1) * (grad * grad)
    if bias_correction:
        mean = mean / (1.0 - elwise("POW", beta0, step))
        square = square / (1.0 - elwise("POW", beta1, step))
    delta = mean / (elwise("SQRT", square) + eps)
    if weight_decay != 0:
        delta = delta + param * weight_decay
    if always_adapt or weight_decay > 0:
        size, length = (elwise("SQRT", reduce(t * t, "SUM")) for t in (param, delta))
        known = ((size > 0).astype("float32")) * ((length > 0).astype("float32"))
        delta = delta * (known * size / (length + (1.0 - known)) + (1.0 - known))
    return new_mean, new_square, param - live(lr) * delta


class LAMB(Optimizer):
    """LAMB: :class:`AdamW` steps scaled, for every parameter, to the parameter's norm; for large batches.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        betas: how much of the two means is kept.
        eps: added to the denominator.
        bias_correction: whether the means are divided by what they lack in the first steps.
        weight_decay: times the parameter, is added to the step.
        always_adapt: whether steps are scaled without weight decay, too.

    Examples:
        >>> import megalith as mge
        >>> from megalith.autodiff import GradManager
        >>> from megalith.optimizer import LAMB
        >>> w = mge.Parameter([1.0, 2.0])
        >>> gm, optimizer = GradManager().attach([w]), LAMB([w], lr=0.1)
        >>> with gm:
        ...     gm.backward((w**2).sum())
        >>> _ = optimizer.step().clear_grad()
        >>> bool((w.numpy() < [1, 2]).all())
        True
    """

    def __init__(
        self,
        params: Union[Iterable[Parameter], dict],
        lr: float,
        betas: Tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        bias_correction: bool = True,
        weight_decay: float = 0.0,
        always_adapt: bool = False,
    ):
        check_settings(betas, lr=lr, weight_decay=weight_decay)
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, betas=betas, eps=eps))
        self.bias_correction = bias_correction
        self.always_adapt = always_adapt
        self._disable_type_convert = True

    def _create_state(self, param_group):
        for param in param_group["params"]:
            self._add_state(param, "exp_avg")
            self._add_state(param, "exp_avg_sq")
            self._add_state(param, "step", initializer=0.0)

    def _next(self, states, param, grad, group):
        """The parameter's next value, in float32; updates the averages."""
        states["step"] += 1.0
        mean, square, param = lamb_step(states["exp_avg"], states["exp_avg_sq"], param, grad, states["step"],
                                        group["betas"], *(float(group[k]) for k in ("lr", "weight_decay", "eps")),
                                        self.bias_correction, self.always_adapt)  # fmt: skip
        states["exp_avg"]._reset(mean)
        states["exp_avg_sq"]._reset(square)
        return param

    def _updates(self, param_group):
        for param in param_group["params"]:
            if param.grad is not None:
                param._reset(_core.astype(self._next(self._state[param], param, param.grad, param_group), param._dtype))


class LAMBFp16(LAMB):
    """:class:`LAMB` for float16 parameters, of which it keeps a copy in float32."""

    def _create_state(self, param_group):
        super()._create_state(param_group)
        for param in param_group["params"]:
            self._state[param]["param_fp32"] = _core.astype(param.detach(), 0)

    def _updates(self, param_group):
        for param in param_group["params"]:
            if param.grad is None:
                continue
            states = self._state[param]
            states["param_fp32"]._reset(self._next(states, states["param_fp32"], param.grad, param_group))
            param._reset(_core.astype(states["param_fp32"], 9))
