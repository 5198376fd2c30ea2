"""Every op of the registry as a function: ``_ops.Reduce(x, mode="SUM", axis=0)``.

Made from the native registry when it is first used; nothing here is written per op. Positional arguments are Tensors,
keywords the op's parameters, ``output_dtype`` among them. An op with one result returns it, others a list.
"""

from . import _core


def _make(entry: dict):
    name = entry["name"]
    cache = {}

    def function(*inputs, **params):
        key = tuple(params.items())
        try:
            op = cache.get(key)
        except TypeError:  # lists
            return _results(_core.Op(name, **params), inputs)
        if op is None:
            if len(cache) > 256:  # parameters that change with every call
                cache.clear()
            op = cache[key] = _core.Op(name, **params)
        return _results(op, inputs)

    lines = [entry["doc"], ""]
    for field, default, doc, values in entry["fields"]:
        text = f"    {field} (default {default!r})"
        lines.append(text + (f": {doc}" if doc else "") + (f" One of {', '.join(values)}." if values else ""))
    function.__name__ = function.__qualname__ = name
    function.__doc__ = "\n".join(lines)
    return function


def _results(op, inputs):
    out = _core.apply(op, *inputs)
    return out[0] if len(out) == 1 else out


_entries = {e["name"]: e for e in _core.registry()}


def __getattr__(name: str):
    if name not in _entries:
        raise AttributeError(f"there is no op {name}")
    function = _make(_entries[name])
    globals()[name] = function
    return function


def __dir__():
    return sorted(_entries)
