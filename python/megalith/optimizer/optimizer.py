"""Optimizer: parameters in groups, with state."""

import copy
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterable
from typing import Dict, Union
from typing import Iterable as Iter

import numpy as np

from .._errors import ArgumentError, ArgumentTypeError, require
from ..core import _trace_option
from ..tensor import Parameter, Tensor


class _RequiredParameter:
    def __repr__(self):
        return "<required parameter>"


required = _RequiredParameter()


def check_settings(betas=(), **settings):
    """Raises a ValueError for a setting that is negative or no number, and for a beta outside of [0, 1)."""
    for name, value in settings.items():
        require(value >= 0.0, f"{name} is {value}, expected at least 0")
    for i, beta in enumerate(betas):
        require(0.0 <= beta < 1.0, f"betas[{i}] is {beta}, expected at least 0 and less than 1")


def f32(value) -> float:
    """A number as float32 holds it."""
    return float(np.float32(value))


def live(value: float):
    """A setting that schedules change. While a function is traced it is a Tensor, which later calls may give other values;
    numbers have to stay what they were."""
    return value if _trace_option._recorder is None else Tensor(np.float32(value))


def rest(value) -> float:
    """`1 - value` in float32."""
    return float(np.float32(1) - np.float32(value))


class Optimizer(metaclass=ABCMeta):
    """Changes parameters by their gradients.

    Args:
        params: Parameters, or dicts with ``params`` and settings of their own (groups).
        defaults: settings of groups that do not have them.

    Raises:
        TypeError: something else is to be optimized.
        ValueError: there are no parameters, or a setting is missing.
    """

    def __init__(
        self,
        params: Union[Iter[Parameter], dict],
        defaults: dict,
    ):
        self._state = {}
        self._defaults = defaults
        self._disable_type_convert = False
        if isinstance(params, (Parameter, dict)):
            params = [params]
        elif not isinstance(params, Iterable):
            raise ArgumentTypeError(f"an optimizer takes Parameters or dicts, not {type(params).__name__}")
        groups = list(params)
        if not groups:
            raise ArgumentError("optimizer got an empty parameter list")
        for group in groups:
            if not isinstance(group, type(groups[0])):
                raise ArgumentTypeError("an optimizer takes either Parameters or dicts, not both")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        self.param_groups = []
        for group in groups:
            self.add_param_group(group)
        for group in self.param_groups:
            self._create_state(group)

    def add_param_group(self, param_group: dict):
        """Adds parameters with settings of their own.

        Args:
            param_group: a dict with ``params`` and settings.
        """
        require(isinstance(param_group, dict), "a parameter group is a dict")
        params = param_group["params"]
        if isinstance(params, set):
            raise ArgumentTypeError("optimized parameters need to be in an ordered collection, not in a set")
        param_group["params"] = params = [params] if isinstance(params, Parameter) else list(params)
        for param in params:
            if not isinstance(param, Parameter):
                raise ArgumentTypeError(f"an optimizer changes Parameters, but one is a {type(param).__name__}")
        for name, default in self._defaults.items():
            if default is required and name not in param_group:
                raise ArgumentError(f"a parameter group has no {name}, which is required")
            param_group.setdefault(name, default)
        known = {id(p) for group in self.param_groups for p in group["params"]}
        require(known.isdisjoint(map(id, params)), "some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def _add_state(self, param, state_name, initializer=None, dtype=None):
        if initializer is None:
            initializer = np.zeros(param._tuple_shape, dtype=np.float32)
        states = self._state.setdefault(param, {})
        require(state_name not in states, f"there is a state {state_name} already")
        states[state_name] = Tensor(initializer, dtype=dtype)

    @abstractmethod
    def _create_state(self, param_group):
        pass

    @abstractmethod
    def _updates(self, param_group):
        pass

    def _get_params(self):
        return [param for group in self.param_groups for param in group["params"]]

    def step(self):
        """Changes every parameter that has a gradient.

        Returns:
            This optimizer.
        """
        if _trace_option._state is not None:
            _trace_option._state.add_optimizer(self)
        for group in self.param_groups:
            if isinstance(group["params"], set):
                raise ArgumentTypeError("optimized parameters need to be in an ordered collection, not in a set")
            self._updates(group)
        return self

    def zero_grad(self):
        """Sets gradients to zero; deprecated in favour of :meth:`clear_grad`."""
        warnings.warn("Optimizer.zero_grad is deprecated, use clear_grad", DeprecationWarning, stacklevel=2)
        for param in self._get_params():
            if param.grad is not None:
                param.grad.reset_zero()

    def clear_grad(self):
        """Forgets the gradients of all parameters."""
        for param in self._get_params():
            param.grad = None

    def state_dict(self, keep_var=False) -> Dict:
        """Settings and states, with parameters by number.

        Args:
            keep_var: whether to keep Tensors instead of arrays.
        """
        numbers = {}
        for param in self._get_params():
            numbers.setdefault(param, len(numbers))
        state = {}
        for param, states in self._state.items():
            state[numbers[param]] = copy.copy(states) if keep_var else {k: v.numpy() for k, v in states.items()}
        groups = []
        for group in self.param_groups:
            saved = {k: v for k, v in group.items() if k != "params"}
            saved["params"] = [numbers[param] for param in group["params"]]
            groups.append(saved)
        return {"param_groups": groups, "state": state}

    def load_state_dict(self, state: dict):
        """Takes over settings and states of a :meth:`state_dict`.

        Raises:
            ValueError: it was made for other groups.
        """
        saved_groups = state["param_groups"]
        if len(self.param_groups) != len(saved_groups):
            raise ArgumentError(
                f"loaded state dict has {len(saved_groups)} parameter groups, expected {len(self.param_groups)}"
            )
        for group, saved in zip(self.param_groups, saved_groups):
            if len(group["params"]) != len(saved["params"]):
                raise ArgumentError(
                    f"a parameter group has {len(saved['params'])} parameters, expected {len(group['params'])}"
                )
            for param, number in zip(group["params"], saved["params"]):
                if number in state["state"]:
                    self._state[param] = {
                        k: v.detach() if isinstance(v, Tensor) else Tensor(v) for k, v in state["state"][number].items()
                    }
            if set(group) != set(saved):
                raise ArgumentError(f"a parameter group has the settings {sorted(saved)}, expected {sorted(group)}")
            for key in group:
                if key != "params":
                    group[key] = saved[key]
        if len(self._state) != len(state["state"]):
            raise ArgumentError(
                f"loaded state dict has states of {len(state['state'])} parameters, expected {len(self._state)}"
            )

    def backward(self, loss):
        """Raises: a GradManager computes gradients."""
        raise NotImplementedError("use autodiff.GradManager instead")

    def bcast_param(self):
        """Raises: use distributed.bcast_list_."""
        raise NotImplementedError("use distributed.bcast_list_ instead")
