"""Classes for the ops of the registry: ``Elemwise(mode=Elemwise.Mode.ADD)``. Made from it, none is written here."""

import enum

from ... import _core


def _camel(field: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in field.split("_"))


class _ParamEnum(str, enum.Enum):
    """An enumerator; it equals its name."""

    def __or__(self, other):
        return f"{self.value}|{getattr(other, 'value', other)}"

    def __hash__(self):
        return hash(self.value)

    def __str__(self):
        return f"{type(self).__name__}.{self.name}"


class OpDef:
    """A call of an op without its inputs.

    Args:
        args: fields in their order.
        kwargs: fields by name. Enumerators are given as enumerators or by name, in any case.
    """

    _fields = ()
    _enums = {}

    def __init__(self, *args, **kwargs):
        cls = type(self)
        if len(args) > len(cls._fields):
            raise TypeError(f"{cls.__name__} has {len(cls._fields)} fields, not {len(args)}")
        values = dict(cls._defaults)
        given = dict(zip(cls._fields, args))
        for name, value in kwargs.items():
            if name in given:
                raise TypeError(f"{cls.__name__}: {name} is given twice")
            given[name] = value
        scope = given.pop("scope", "")
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
        if kind is None or value is None:
            return value
        if isinstance(value, str) and "|" not in value:
            for one in (value, value.upper()):
                if one in kind.__members__:
                    return kind[one]
            raise ValueError(f"{cls.__name__}: {name} has no value {value!r}")
        return value

    def __setattr__(self, name, value):
        if name != "scope" and name not in type(self)._fields:
            raise AttributeError(f"{type(self).__name__} has no field {name!r}")
        object.__setattr__(self, name, self._value(name, value))

    def to_native(self):
        """The op that :func:`apply` calls."""
        params = {n: getattr(v, "value", v) for n in self._fields if (v := getattr(self, n)) is not None}
        return _core.Op(type(self).__name__, **params)

    def _state(self):
        return tuple((n, str(getattr(self, n))) for n in self._fields)

    def __eq__(self, other):
        return type(self) is type(other) and self._state() == other._state()

    def __hash__(self):
        return hash((type(self).__name__, self._state()))

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in self._state())})"

    def __reduce__(self):
        return _rebuild, (
            type(self).__name__,
            {n: getattr(v, "value", v) for n in self._fields for v in [getattr(self, n)]},
        )


def _rebuild(name, fields):
    return classes()[name](**fields)


def _make(entry: dict) -> type:
    fields, defaults, enums = [], {}, {}
    members = {"__doc__": entry["doc"], "__module__": "megalith.core.ops.builtin"}
    for field, default, _, values in entry["fields"]:
        fields.append(field)
        if values:
            kind = _ParamEnum(_camel(field), [(v, v) for v in values], module="megalith.core.ops.builtin")
            members[_camel(field)] = enums[field] = kind
            default = kind[default] if isinstance(default, str) and default in kind.__members__ else default
        elif isinstance(default, tuple):  # an element type: whatever the op derives
            default = None
        defaults[field] = default
    return type(entry["name"], (OpDef,), dict(members, _fields=tuple(fields), _defaults=defaults, _enums=enums))


_classes = {}


def classes() -> dict:
    """The classes by the ops' names."""
    if not _classes:
        for entry in _core.registry():
            if entry["name"].isidentifier():
                _classes[entry["name"]] = _make(entry)
    return _classes
