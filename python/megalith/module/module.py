"""Module: parameters, submodules and a forward function."""

import logging
import warnings
from abc import ABCMeta, abstractmethod
from collections import OrderedDict
from typing import Any, Callable, Iterable, Optional, Set, Tuple, Union

import numpy as np

from .._errors import ArgumentError, require
from ..core import _trace_option
from ..tensor import Parameter, Tensor
from ..utils.hook import HookHandler
from ..utils.naming import AutoNaming

logger = logging.getLogger(__name__)


# Most attributes are of these types, or empty containers.
_NO_LEAVES = frozenset((bool, int, float, str, type(None)))
_CONTAINERS = frozenset((list, tuple, dict, OrderedDict))


def _expand_structure(prefix, obj):
    """Tensors and modules in an attribute's value, with their paths: lists, tuples and dicts are searched."""
    if isinstance(obj, (Tensor, Module)):
        return [(prefix, obj)]
    if isinstance(obj, dict):
        try:
            items = [(k, obj[k]) for k in sorted(obj)]
        except TypeError:  # keys that can't be compared
            items = list(obj.items())
    elif isinstance(obj, (list, tuple)):
        items = [(str(i), v) for i, v in enumerate(obj)]
    else:
        return []
    found = []
    for key, value in items:
        inside = _expand_structure(key, value)
        if inside and not isinstance(key, str):
            raise AssertionError(f"keys for Tensor and Module must be str, error key: {key}")
        found.extend((f"{prefix}.{k}", v) for k, v in inside)
    return found


def _access_structure(obj, key, callback=None):
    """The value at a dotted path, or what ``callback(parent, key, value)`` makes of it."""
    parent = None
    for k in key.split("."):
        parent = obj
        if isinstance(obj, (list, tuple)):
            k = int(k)
            obj = obj[k]
        elif isinstance(obj, dict):
            obj = obj[k]
        else:
            obj = getattr(obj, k)
    return obj if callback is None else callback(parent, k, obj)


def _is_parameter(obj):
    return isinstance(obj, Parameter)


def _is_tensor(obj):
    return isinstance(obj, Tensor)


def _is_buffer(obj):
    return isinstance(obj, Tensor) and not isinstance(obj, Parameter)


def _is_module(obj):
    return isinstance(obj, Module)


def _flat_in_files():
    """Modules whose tensors have one dimension in state dicts, whatever shape they compute with."""
    from .batchnorm import _BatchNorm
    from .normalization import GroupNorm, InstanceNorm, LayerNorm

    return (_BatchNorm, GroupNorm, LayerNorm, InstanceNorm)


def _deprecated(what):
    warnings.warn(what, DeprecationWarning, stacklevel=3)


def _drop_requires_grad(kwargs):
    if kwargs.pop("requires_grad", None) is not None:
        logger.warning("tensors have no requires_grad, so the argument is ignored")


class Module(metaclass=ABCMeta):
    """A layer or a network: Parameters, Tensors and Modules in its attributes (also in lists and dicts) belong to it.

    Args:
        name: a name for messages and dumps.

    Examples:
        >>> import megalith as mge, megalith.module as M
        >>> class Net(M.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.fc = M.Linear(2, 3)
        ...     def forward(self, x):
        ...         return self.fc(x)
        >>> Net()
        Net(
          (fc): Linear(in_features=2, out_features=3, bias=True)
        )
        >>> [name for name, _ in Net().named_parameters()]
        ['fc.bias', 'fc.weight']
    """

    def __init__(self, name=None):
        self._modules = []
        if name is not None:
            require(isinstance(name, str) and name.strip(), "a module's name is a non-empty string")
        self.name = name
        self.training = True
        self.quantize_disabled = False
        self._forward_pre_hooks = OrderedDict()
        self._forward_hooks = OrderedDict()
        self._name = None  # path from the root
        self._short_name = None  # attribute of the parent

    @abstractmethod
    def forward(self, inputs):
        """Computes the result; override it."""

    def register_forward_pre_hook(self, hook: Callable) -> HookHandler:
        """Calls ``hook(module, inputs)`` before forward; what it returns, unless None, replaces the inputs.

        Returns:
            A handle with ``remove()``.
        """
        return HookHandler(self._forward_pre_hooks, hook)

    def register_forward_hook(self, hook: Callable) -> HookHandler:
        """Calls ``hook(module, inputs, outputs)`` after forward; what it returns, unless None, replaces the outputs.

        Returns:
            A handle with ``remove()``.
        """
        return HookHandler(self._forward_hooks, hook)

    def __call__(self, *inputs, **kwargs):
        scopes = AutoNaming.scopes
        scopes.append(self.name if self.name is not None else self._short_name)
        recorder = _trace_option._recorder
        try:
            if recorder is not None:
                self._name_calls(recorder)
            for hook in tuple(self._forward_pre_hooks.values()):
                changed = hook(self, inputs)
                if changed is not None:
                    inputs = changed if isinstance(changed, tuple) else (changed,)
            outputs = self.forward(*inputs, **kwargs)
            for hook in tuple(self._forward_hooks.values()):
                changed = hook(self, inputs, outputs)
                if changed is not None:
                    outputs = changed
        finally:
            scopes.pop()
            if recorder is not None:
                recorder.set_scope(AutoNaming.get_scope())
        return outputs

    def _name_calls(self, recorder):
        """Names what a trace records here, and this module's own Tensors, by the path of the modules that are called."""
        scope = AutoNaming.get_scope()
        recorder.set_scope(scope)
        if _trace_option._state is not None:
            _trace_option._state.add_module(self)
        for key, value in self.__dict__.items():
            if isinstance(value, Tensor):
                name = value._custom_name or key
                recorder.name_captured(value, f"{scope}.{name}" if scope else name)

    def _flatten(
        self,
        *,
        recursive: bool = True,
        with_key: bool = False,
        with_parent: bool = False,
        prefix: Optional[str] = None,
        predicate: Callable[[Any], bool] = lambda _: True,
        seen: Optional[Set[int]] = None,
    ) -> Union[Iterable[Any], Iterable[Tuple[str, Any]]]:
        """Tensors and modules for which ``predicate`` holds, each once, by the names of the attributes.

        Args:
            recursive: whether to look into submodules.
            with_key, with_parent: whether to yield paths before them, and modules that hold them after them.
            prefix: what paths begin with.
            seen: ids of objects that are left out.
        """
        if seen is None:
            seen = {id(self)}
        start = "" if prefix is None else prefix + "."
        attributes = vars(self)
        plain = not (with_key or with_parent)
        for name in sorted(attributes):
            value = attributes[name]
            kind = type(value)
            if kind in _NO_LEAVES or (kind in _CONTAINERS and not value):
                continue
            for key, leaf in ((name, value),) if isinstance(value, Tensor) else _expand_structure(name, value):
                if id(leaf) in seen:
                    continue
                seen.add(id(leaf))
                if predicate(leaf):
                    if plain:
                        yield leaf
                    else:
                        yield ((start + key,) if with_key else ()) + (leaf,) + ((self,) if with_parent else ())
                if recursive and not isinstance(leaf, Tensor):
                    yield from leaf._flatten(
                        recursive=recursive, with_key=with_key, with_parent=with_parent,
                        prefix=start + key if with_key else None, predicate=predicate, seen=seen,
                    )  # fmt: skip

    def parameters(self, recursive: bool = True, **kwargs) -> Iterable[Parameter]:
        """Its Parameters.

        Args:
            recursive: whether those of submodules count.
        """
        _drop_requires_grad(kwargs)
        yield from self._flatten(with_key=False, predicate=_is_parameter, recursive=recursive, **kwargs)

    def named_parameters(
        self, prefix: Optional[str] = None, recursive: bool = True, **kwargs
    ) -> Iterable[Tuple[str, Parameter]]:
        """Its Parameters with their paths."""
        _drop_requires_grad(kwargs)
        yield from self._flatten(with_key=True, prefix=prefix, predicate=_is_parameter, recursive=recursive, **kwargs)

    def buffers(self, recursive: bool = True, **kwargs) -> Iterable[Tensor]:
        """Its Tensors that are no Parameters."""
        yield from self._flatten(with_key=False, predicate=_is_buffer, recursive=recursive, **kwargs)

    def named_buffers(
        self, prefix: Optional[str] = None, recursive: bool = True, **kwargs
    ) -> Iterable[Tuple[str, Tensor]]:
        """Its Tensors that are no Parameters, with their paths."""
        yield from self._flatten(with_key=True, prefix=prefix, predicate=_is_buffer, recursive=recursive, **kwargs)

    def tensors(self, recursive: bool = True, **kwargs) -> Iterable[Parameter]:
        """Its Parameters and other Tensors."""
        yield from self._flatten(with_key=False, predicate=_is_tensor, recursive=recursive, **kwargs)

    def named_tensors(
        self, prefix: Optional[str] = None, recursive: bool = True, **kwargs
    ) -> Iterable[Tuple[str, Tensor]]:
        """Its Parameters and other Tensors with their paths."""
        yield from self._flatten(with_key=True, prefix=prefix, predicate=_is_tensor, recursive=recursive, **kwargs)

    def children(self, **kwargs) -> "Iterable[Module]":
        """Modules that are attributes of it."""
        yield from self._flatten(with_key=False, predicate=_is_module, recursive=False, **kwargs)

    def named_children(self, **kwargs) -> "Iterable[Tuple[str, Module]]":
        """Modules that are attributes of it, with their names."""
        yield from self._flatten(with_key=True, predicate=_is_module, recursive=False, **kwargs)

    def modules(self, **kwargs) -> "Iterable[Module]":
        """Itself and all modules inside."""
        yield (self, None) if kwargs.get("with_parent") else self
        yield from self._flatten(with_key=False, predicate=_is_module, **kwargs)

    def named_modules(self, prefix: Optional[str] = None, **kwargs) -> "Iterable[Tuple[str, Module]]":
        """Itself and all modules inside, with their paths; its own is empty."""
        start = "" if prefix is None else prefix
        yield (start, self, None) if kwargs.get("with_parent") else (start, self)
        yield from self._flatten(with_key=True, prefix=prefix, predicate=_is_module, **kwargs)

    def apply(self, fn: "Callable[[Module], Any]") -> None:
        """Calls ``fn`` with itself and every module inside."""
        for module in self.modules():
            fn(module)

    def zero_grad(self) -> None:
        """Sets all gradients to zero; deprecated in favour of the optimizer's ``clear_grad``."""
        _deprecated("Module.zero_grad is deprecated, use Optimizer.clear_grad")
        for param in self.parameters():
            if param.grad is not None:
                param.grad.reset_zero()

    def train(self, mode: bool = True, recursive: bool = True) -> None:
        """Sets ``training``, which BatchNorm, Dropout and RNNs look at.

        Args:
            mode: the new value.
            recursive: whether submodules follow.
        """
        if not recursive:
            self.training = mode
            return
        self.apply(lambda module: module.train(mode, recursive=False))

    def eval(self) -> None:
        """Sets ``training`` of it and all modules inside to False."""
        self.train(False)

    def disable_quantize(self, value=True):
        """Leaves it and all modules inside out of quantization."""

        def fn(module: Module) -> None:
            module.quantize_disabled = value

        self.apply(fn)

    def replace_param(self, params: dict, start_pos: int, seen: Optional[Set[int]] = None):
        """Replaces Parameters by those of ``params``, by number in the order of attributes; deprecated.

        Returns:
            How many Parameters there are.
        """
        if seen is None:
            seen = {id(self)}
            _deprecated("Module.replace_param is deprecated")
        count = 0
        attributes = vars(self)
        for name in sorted(attributes):
            value = attributes[name]
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, Parameter):
                new = params.get(start_pos + count)
                if new is not None:
                    require(
                        tuple(value.shape) == tuple(new.shape),
                        f"{name} has shape {value.shape}, its replacement {new.shape}",
                    )
                    attributes[name] = new
                count += 1
            elif isinstance(value, Module):
                count += value.replace_param(params, start_pos + count, seen)
        return count

    def state_dict(self, rst=None, prefix="", keep_var=False):
        """All its tensors by their paths, as arrays; those of normalizations have one dimension.

        Args:
            rst: a dict to add to.
            prefix: what paths begin with.
            keep_var: whether to keep Tensors instead of arrays.

        Examples:
            >>> import megalith.module as M
            >>> {k: v.shape for k, v in M.BatchNorm2d(3).state_dict().items()}["running_mean"]
            (3,)
        """
        out = OrderedDict() if rst is None else rst
        flat = _flat_in_files()
        for (kind, key), value in self._state_dict(prefix=prefix, keep_var=keep_var).items():
            require(key not in out, f"duplicated state: {key}")
            out[key] = value.reshape(-1) if issubclass(kind, flat) else value
        return out

    def _state_dict(self, rst=None, prefix="", keep_var=False):
        """Tensors by (type of their module, path)."""
        if rst is None:
            rst = OrderedDict()
        for key, value in self._flatten(recursive=False, with_key=True, predicate=_is_tensor):
            rst[type(self), prefix + key] = value if keep_var else value.numpy()
        for key, module in self._flatten(recursive=False, with_key=True, predicate=_is_module):
            module._state_dict(rst, prefix + key + ".", keep_var)
        return rst

    def load_state_dict(
        self,
        state_dict: Union[dict, Callable[[str, Tensor], Optional[np.ndarray]]],
        strict=True,
    ):
        """Takes over the values of a :meth:`state_dict`.

        Args:
            state_dict: arrays by path, or a function of a path and a Tensor that gives an array, or None to skip it.
            strict: whether keys that are missing or left over are an error.

        Raises:
            KeyError: keys differ although ``strict``.
            ValueError: an array has another shape.

        Examples:
            >>> import megalith.module as M
            >>> a, b = M.Linear(2, 2), M.Linear(2, 2)
            >>> b.load_state_dict(a.state_dict())
            >>> bool((a.weight.numpy() == b.weight.numpy()).all())
            True
        """
        if isinstance(state_dict, dict):
            unused = set(state_dict)
            loaded, skipped = self._load_state_dict_with_closure(lambda key, _: state_dict.get(key))
        elif callable(state_dict):
            unused = set()
            loaded, skipped = self._load_state_dict_with_closure(state_dict)
        else:
            raise ArgumentError(f"load_state_dict takes a dict or a function, not {type(state_dict).__name__}")
        unused -= loaded
        for kind, keys in (("Unused", unused), ("Missing", skipped)):
            if not keys:
                continue
            if strict:
                raise KeyError(f"{kind} params violate `strict=True`, {kind.lower()}={keys}")
            logger.warning("%s params in `strict=False` mode, %s=%s", kind, kind.lower(), keys)

    def _load_state_dict_with_closure(self, closure):
        """Loads what a function gives for each path; the paths loaded and skipped."""
        flat = _flat_in_files()
        loaded, skipped = set(), set()
        for (kind, key), var in self._state_dict(keep_var=True).items():
            value = closure(key, var)
            if value is None:
                skipped.add(key)
                continue
            require(isinstance(value, np.ndarray), f"param `{key}` is a {type(value).__name__}, expected an ndarray")
            shape = tuple(var._tuple_shape)
            if shape != value.shape:
                if not issubclass(kind, flat):
                    raise ArgumentError(f"param `{key}` shape mismatch, should be {shape}, get {value.shape}")
                if int(np.prod(shape)) != value.size:
                    raise ArgumentError(
                        f"param `{key}` size mismatch, should be {int(np.prod(shape))}, get {value.size}"
                    )
                value = value.reshape(shape)
            var._reset(type(var)(value, dtype=value.dtype))
            loaded.add(key)
        return loaded, skipped

    def __setattr__(self, name: str, value):
        if isinstance(value, (Module, list, tuple, dict)) and name != "_modules":
            modules = self.__dict__.get("_modules")
            if modules is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            if name not in modules:
                modules.append(name)
        elif name in self.__dict__.get("_modules", ()) and name != "_modules":
            self._modules.remove(name)
        if isinstance(value, (Module, Tensor, list, tuple, dict)):
            prefix = self.__dict__.get("_name") or self.__dict__.get("name")
            for key, leaf in _expand_structure(name, value):
                _set_name(self, prefix, key, leaf)
        super().__setattr__(name, value)

    def __setstate__(self, state):
        if "_short_name" not in state:  # written by MegEngine before 1.10
            state["_short_name"] = state["_name"]
            state["_name"] = None
        self.__dict__.update(state)

    def __delattr__(self, name: str):
        if name in self.__dict__ and name in self.__dict__.get("_modules", ()):
            self._modules.remove(name)
        super().__delattr__(name)

    def _module_info_string(self) -> str:
        """What stands between the parentheses of its text; override it."""
        return ""

    def __repr__(self):
        info = self._module_info_string()
        lines = info.split("\n") if info else []
        children = []
        for name in self._modules:
            for key, value in _expand_structure(name, self.__dict__[name]):
                if _is_module(value):
                    children.append(f"({key}): " + repr(value).replace("\n", "\n  "))
        kind = type(self).__name__
        if not children and len(lines) <= 1:
            return f"{kind}({info})"
        return f"{kind}(\n  " + "\n  ".join(lines + children) + "\n)"

    def _repr_html_(self):
        from .. import _html

        return _html.module(self)


def _set_name(parent, prefix, name, obj):
    """Tells a tensor or module its attribute name and its path; the first parent wins."""
    if isinstance(obj, Tensor) and obj._custom_name:
        name = obj._custom_name
    if obj._short_name and obj._short_name != name:
        logger.warning(
            "%s is attribute %s of %s as well; it keeps its name", obj._short_name, name, type(parent).__name__
        )
        return
    path = f"{prefix}.{name}" if prefix else name
    obj._name, obj._short_name = path, name
    if isinstance(obj, Tensor):
        obj._prefix = prefix
        return
    for key, leaf in obj._flatten(recursive=False, with_key=True):
        _set_name(obj, path, key, leaf)
