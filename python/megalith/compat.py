"""``import megengine`` that gives Megalith: for scripts written against MegEngine."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys

__all__ = ["install", "installed", "uninstall"]

_NAME = "megengine"


def _own_name(fullname: str) -> str:
    return "megalith" + fullname[len(_NAME) :]


def _alias_loaded():
    """Modules that are loaded have their alias' name at once. Loading one by that name would set the attribute of its
    package, which may be a function (``quantization.quantize``)."""
    for name, module in list(sys.modules.items()):
        if name.startswith("megalith."):
            sys.modules.setdefault(_NAME + name[len("megalith") :], module)


class _Loader(importlib.abc.Loader):
    """Gives the module of the same path in Megalith: the same object, no copy."""

    def create_module(self, spec):
        module = importlib.import_module(_own_name(spec.name))
        # The import system is about to write the alias' spec over the module's own one.
        _alias_loaded()
        spec.loader_state = {k: getattr(module, k, None) for k in ("__spec__", "__loader__", "__package__")}
        return module

    def exec_module(self, module):
        for key, value in (module.__spec__.loader_state or {}).items():
            setattr(module, key, value)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname != _NAME and not fullname.startswith(_NAME + "."):
            return None
        try:
            found = importlib.util.find_spec(_own_name(fullname))
        except ModuleNotFoundError:  # a parent is no package
            return None
        if found is None:
            return None
        is_package = found.submodule_search_locations is not None
        return importlib.machinery.ModuleSpec(fullname, _Loader(), origin=found.origin, is_package=is_package)


_finder = _Finder()


def install():
    """Makes ``import megengine`` and its submodules give Megalith's modules, in this process.

    Modules of a real MegEngine that were imported before stay what they are.

    Raises:
        RuntimeError: the real MegEngine is imported already.

    Examples:
        >>> import megalith
        >>> from megalith import compat
        >>> compat.install()
        >>> import megengine.functional as F
        >>> F is megalith.functional
        True
    """
    import megalith

    present = sys.modules.get(_NAME)
    if present is not None and present is not megalith and not getattr(present, "_megalith_alias", False):
        raise RuntimeError(f"MegEngine is imported already from {getattr(present, '__file__', None)}")
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    sys.modules[_NAME] = megalith
    _alias_loaded()


def uninstall():
    """Undoes :func:`install`: the next ``import megengine`` looks for the real one."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for name in [n for n in sys.modules if n == _NAME or n.startswith(_NAME + ".")]:
        del sys.modules[name]


def installed() -> bool:
    """Whether ``import megengine`` gives Megalith."""
    return _finder in sys.meta_path
