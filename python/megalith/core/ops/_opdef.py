"""Classes for the ops of the registry: ``Elemwise(mode=Elemwise.Mode.ADD)``. Made from it, none is written here."""

import enum

import numpy as np

from ... import _core
from ..tensor.dtype import to_native
from ._composed import COMPOSED

_MODULE = "megalith.core.ops.builtin"
# Names that files spell out and MegEngine's eager calls don't.
_SUFFIXES = ("Forward", "MGB", "Opr")


class _Strategy(enum.Flag):
    """How MegEngine chooses an algorithm; accepted for compatibility."""

    HEURISTIC = 1
    PROFILE = 2
    REPRODUCIBLE = 4
    OPTIMIZED = 8


def _camel(field: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in field.split("_"))


class _ParamEnum(str, enum.Enum):
    """An enumerator; it equals its name."""

    def __or__(self, other):
        return f"{self.value}|{getattr(other, 'value', other)}"

    def __hash__(self):
        return hash(self.value)

    def __str__(self):
        return f"{type(self).__qualname__}.{self.name}"


class OpDef:
    """A call of an op without its inputs.

    Args:
        args: fields in their order.
        kwargs: fields by name. Enumerators are given as enumerators or by name, in any case.
    """

    _fields = ()
    _enums = {}
    _host = {}  # fields that only eager calls have, with their defaults
    _dtypes = ()  # fields that hold an element type

    def __init__(self, *args, **kwargs):
        cls = type(self)
        names = (*cls._fields, *cls._host)
        if len(args) > len(names):
            raise TypeError(f"{cls.__name__} has {len(names)} fields, not {len(args)}")
        values = dict(cls._defaults)
        given = dict(zip(names, args))
        for name, value in kwargs.items():
            if name in given:
                raise TypeError(f"{cls.__name__}: {name} is given twice")
            given[name] = value
        scope = given.pop("scope", "")
        values.update(cls._host)
        for name, value in given.items():
            if name not in values:
                raise TypeError(f"{cls.__name__} has no field {name!r}")
            values[name] = self._value(name, value)
        for name, value in values.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "scope", scope)

    @classmethod
    def _value(cls, name, value):
        kind = cls._enums.get(name)
        if name in cls._dtypes and isinstance(value, type):
            return np.dtype(value)
        if kind is None or value is None:
            return value
        if isinstance(value, str) and "|" not in value:
            for one in (value, value.upper()):
                if one in kind.__members__:
                    return kind[one]
            raise _core.OpError(f"{cls.__name__}: {name} has no value {value!r}")
        return value

    def __setattr__(self, name, value):
        if name != "scope" and name not in type(self)._fields and name not in type(self)._host:
            raise AttributeError(f"{type(self).__name__} has no field {name!r}")
        object.__setattr__(self, name, self._value(name, value))

    def to_native(self):
        """The op that :func:`apply` calls."""
        params = {n: getattr(v, "value", v) for n in self._fields if (v := getattr(self, n)) is not None}
        for name in self._dtypes:
            if name in params and not isinstance(params[name], (str, tuple, int)):
                params[name] = to_native(params[name])
        if getattr(self, "handle", 0):
            params["seed"] = stream_of(self.handle).next_seed()
        output = getattr(self, "dtype", None) if "dtype" in self._host else None
        if output:
            params["output_dtype"] = to_native(output) if not isinstance(output, tuple) else output
        return _core.Op(type(self).__name__, **params)

    def call(self, *inputs) -> list:
        """Its results for eager inputs or graph variables."""
        inputs = list(inputs)
        shape = self.shape if "shape" in self._host else None
        if shape and len(inputs) == 1:
            from ...functional._compose import int_vector

            inputs.append(int_vector(shape))
        results = _core.apply(self.to_native(), *inputs)
        if "keepdim" in self._host and not self.keepdim and len(inputs) == 1 and self.axis < 8:
            x = inputs[0]
            results = [_core.squeeze(results[0], self.axis + x.ndim if self.axis < 0 else self.axis)]
        return [results[0]._with_scalar(True)] if type(self).__name__ == "Dot" else results

    def _state(self):
        values = ((n, getattr(self, n)) for n in (*self._fields, *self._host))
        return tuple((n, str(getattr(v, "value", v))) for n, v in values)

    to_c = property(lambda self: lambda: self, doc="Itself: once it was another object.")

    @property
    def name(self) -> str:
        """What it is called; of an elementwise op, its function."""
        return str(self.mode.value) if type(self).__name__ == "Elemwise" else type(self).__name__

    def __eq__(self, other):
        return type(self) is type(other) and self._state() == other._state()

    def __hash__(self):
        return hash((type(self).__name__, self._state()))

    def __repr__(self):
        return self.name

    def __reduce__(self):
        values = {n: getattr(self, n) for n in (*self._fields, *self._host)}
        return _rebuild, (type(self).__name__, {n: getattr(v, "value", v) for n, v in values.items()})


def _rebuild(name, fields):
    return classes()[name](**fields)


def _host_fields(name: str, fields) -> dict:
    """Fields of MegEngine's eager call that the op itself doesn't have: where it computes, and how it chooses to."""
    host = {}
    if "seed" in fields:
        host["handle"] = 0
    if "sparse" in fields or name in ("MatrixMul", "BatchedMatrixMul", "Pooling"):
        host.update(strategy=_Strategy.HEURISTIC, workspace_limit=2**64 - 1)
    if name in ("MatrixMul", "BatchedMatrixMul"):
        host.update(dimA=0, dimB=0)
    if name in ("Reshape", "Broadcast", "AdaptivePooling"):
        host["shape"] = ()
    if name in ("Concat", "Copy", "Eye", "Linspace"):
        host["comp_node"] = ""
    if name == "Reduce":
        host["keepdim"] = True
    if name == "Split":
        host["nsections"] = 0
    if name in ("ElemwiseMultiType", "ConvBiasForward", "BatchConvBiasForward", "ConvolutionBackwardData"):
        host["dtype"] = ""
    return host


def _make(entry: dict) -> type:
    fields, defaults, enums, dtypes = [], {}, {}, []
    members = {"__doc__": entry["doc"], "__module__": _MODULE, "Strategy": _Strategy}
    for field, default, _, values in entry["fields"]:
        fields.append(field)
        if values:
            qualname = f"{entry['name']}.{_camel(field)}"
            kind = _ParamEnum(_camel(field), [(v, v) for v in values], module=_MODULE, qualname=qualname)
            members[_camel(field)] = enums[field] = kind
            default = kind[default] if isinstance(default, str) and default in kind.__members__ else default
        elif isinstance(default, tuple):  # an element type: whatever the op derives
            default = None
            dtypes.append(field)
        defaults[field] = default
    if entry["name"] == "CondTake":  # what the mask is set for
        defaults.update(mode=enums["mode"]["EQ"], val=1)
    host = _host_fields(entry["name"], fields)
    if "strategy" not in host:
        del members["Strategy"]
    members.update(_fields=tuple(fields), _defaults=defaults, _enums=enums, _host=host, _dtypes=tuple(dtypes))
    return type(entry["name"], (OpDef,), members)


def _compose(name: str, defaults: dict, compute, doc: str) -> type:
    enums = {f: type(v) for f, v in defaults.items() if isinstance(v, enum.Enum)}
    members = {"__doc__": doc, "__module__": _MODULE, "call": lambda self, *inputs: compute(self, *inputs)}
    members.update({_camel(f): kind for f, kind in enums.items()})
    return type(name, (OpDef,), dict(members, _fields=tuple(defaults), _defaults=defaults, _enums=enums))


def stream_of(handle):
    """The stream of random numbers of a handle."""
    from ...random.rng import stream

    return stream(handle)


_classes = {}


def classes() -> dict:
    """The classes by the ops' names."""
    if not _classes:
        for entry in _core.registry():
            if entry["name"].isidentifier():
                _classes[entry["name"]] = _make(entry)
        for name, (defaults, compute, doc) in COMPOSED.items():
            _classes[name] = _compose(name, defaults, compute, doc)
        for name in list(_classes):
            for suffix in _SUFFIXES:
                if name.endswith(suffix):
                    _classes.setdefault(name[: -len(suffix)], _classes[name])
    return _classes
