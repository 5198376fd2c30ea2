"""What pickles of traced modules name: classes and functions of MegEngine become ours, loaders repair old calls."""

import importlib

from ..module.module import Module

WRITTEN_AS = "1.13.0"  # the release of MegEngine whose signatures our own files have
OPDEF_LOADER = {}
FUNCTIONAL_LOADER = {}
TENSORMETHOD_LOADER = {}
MODULE_LOADER = {}


def find(module: str, name: str):
    """A class or function by its module and name; MegEngine's are ours."""
    if module.split(".")[0] == "megengine":
        module = "megalith" + module[len("megengine") :]
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        raise ImportError(f"a traced module calls {module}.{name}, which is not there") from None
    return found


class _ModuleState:
    """A module as MegEngine writes it: its class by name, and its attributes."""

    def to_module(self):
        """The module."""
        kind = find(*self.module)
        out = kind.__new__(kind)
        Module.__setstate__(out, {k: restored(v) for k, v in self.state.items()})
        return out


def restored(value):
    """A value of a loaded state, with modules in place of their written form."""
    if isinstance(value, _ModuleState):
        return value.to_module()
    if isinstance(value, list) and any(isinstance(v, _ModuleState) for v in value):
        return [restored(v) for v in value]
    return value


def _own(key):
    """A key of a table of loaders: MegEngine's names are ours."""
    if not isinstance(key, tuple):
        return key
    module, name = key
    return ("megalith" + module[len("megengine") :] if module.split(".")[0] == "megengine" else module), name


def _register(table, keys):
    def decorator(loader):
        for key in keys:
            table[_own(key)] = loader
        return loader

    return decorator


def register_functional_loader(*funcs):
    """A decorator for what repairs calls of functions when a traced module is loaded.

    Args:
        funcs: (module, name) of the functions, as files name them.
    """
    return _register(FUNCTIONAL_LOADER, funcs)


def register_module_loader(*module_types):
    """A decorator for what repairs calls of modules, by (module, name) of their classes."""
    return _register(MODULE_LOADER, module_types)


def register_tensor_method_loader(*methods):
    """A decorator for what repairs calls of methods of tensors, by their names."""
    return _register(TENSORMETHOD_LOADER, methods)


def register_opdef_loader(*opdefs):
    """A decorator for what repairs calls of ops, by their classes."""
    return _register(OPDEF_LOADER, opdefs)


def _repair(table, key, expr):
    loader = table.get(key)
    if loader is not None:
        loader(expr)


def load_functional(expr):
    """Repairs a call of a function and looks it up; ``expr.func`` is (module, name) before."""
    if isinstance(expr.func, tuple):
        _repair(FUNCTIONAL_LOADER, _own(expr.func), expr)
    if isinstance(expr.func, tuple):
        expr.func = find(*expr.func)


def load_call_module_expr(expr):
    """Repairs a call of a module."""
    kind = expr.inputs[0].module_type
    _repair(MODULE_LOADER, (kind.__module__, kind.__name__), expr)


def load_call_tensor_method_expr(expr):
    """Repairs a call of a method of a tensor."""
    _repair(TENSORMETHOD_LOADER, expr.method, expr)


def load_apply_expr(expr):
    """Repairs a call of an op."""
    _repair(OPDEF_LOADER, type(expr.opdef), expr)


def load_expr(expr):
    """Repairs an expression of any kind."""
    from .expr import Apply, CallFunction, CallMethod
    from .node import ModuleNode

    if isinstance(expr, CallFunction):
        load_functional(expr)
    elif isinstance(expr, Apply):
        load_apply_expr(expr)
    elif isinstance(expr, CallMethod) and expr.inputs:
        if isinstance(expr.inputs[0], ModuleNode):
            load_call_module_expr(expr)
        else:
            load_call_tensor_method_expr(expr)
