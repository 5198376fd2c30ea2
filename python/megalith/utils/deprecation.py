"""Marks what is deprecated."""

import functools
import importlib
import inspect
import warnings


def deprecated_func(version, origin, name, tbd):
    """A function that lives elsewhere now: calls it and warns.

    Args:
        version: since when.
        origin: its module now.
        name: its name.
        tbd: whether it is going to be removed.
    """
    text = f"{name} is deprecated since version {version}, use {origin}.{name}" + (
        " before it is removed" if tbd else ""
    )

    def wrapper(*args, **kwargs):
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        module = importlib.import_module(origin.replace("megengine", "megalith", 1))
        return getattr(module, name)(*args, **kwargs)

    return wrapper


def deprecated_kwargs_default(version, kwargs_name, kwargs_pos):
    """A decorator that warns when an argument is left to its default, which is going to change."""

    def decorate(func):
        default = inspect.signature(func).parameters[kwargs_name].default

        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            if len(args) <= kwargs_pos and kwargs_name not in kwargs:
                warnings.warn(
                    f"the default of {kwargs_name}, {default!r}, changes after version {version}: pass it",
                    DeprecationWarning, stacklevel=2,
                )  # fmt: skip
            return func(*args, **kwargs)

        return wrapper

    return decorate
