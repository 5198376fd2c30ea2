"""Element types: NumPy dtypes, with quantized ones as integer dtypes that carry MegEngine's metadata."""

import re
from collections import namedtuple
from typing import Union

import numpy as np

from ... import _core

# number in `.mge` files -> NumPy type of the stored values
_STORAGE = {
    0: np.float32, 1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int8, 6: np.int8, 7: np.int8, 8: np.uint8,
    9: np.float16, 10: np.uint8, 11: np.uint8, 12: np.int32, 13: np.int8, 14: np.uint8, 15: np.int8, 16: np.int16,
    17: np.float32, 18: np.bool_, 19: np.uint16, 20: np.int8,
}  # fmt: skip
_PLAIN = {0: "float32", 1: "uint8", 2: "int8", 3: "int16", 4: "int32", 9: "float16", 18: "bool", 19: "uint16"}
_ID = {np.dtype(name): i for i, name in _PLAIN.items()}
_ID.update({np.dtype("float64"): 0, np.dtype("int64"): 4, np.dtype("uint32"): 4, np.dtype("uint64"): 4})
_NAMED = {8: "Byte", 10: "UintB4"}
_QUANTIZED = {11: "Quantized8Asymm", 12: "QuantizedS32", 13: "QuantizedS8", 14: "Quantized4Asymm", 15: "QuantizedS4",
              16: "QuantizedS16", 20: "QuantizedS1"}  # fmt: skip
_BY_NAME = {name: i for table in (_NAMED, _QUANTIZED) for i, name in table.items()}

_NUMBER_TYPES = _core.number_types()
bfloat16, intb1, intb2, intb4 = (_NUMBER_TYPES[name] for name in ("bfloat16", "intb1", "intb2", "intb4"))
_ID.update({bfloat16: 17, intb1: 5, intb2: 6, intb4: 7})
# The largest number of intb1, intb2 and intb4; a stored value v stands for 2 v - that.
_LARGEST = {5: 1, 6: 3, 7: 15}
_NAMED_DTYPES = {8: np.dtype("uint8", metadata={"mgb_dtype": {"name": "Byte"}}), 5: intb1, 6: intb2, 7: intb4,
                 10: np.dtype("uint8", metadata={"mgb_dtype": {"name": "UintB4"}}), 17: bfloat16}  # fmt: skip
_PLAIN_DTYPES = {i: np.dtype(name) for i, name in _PLAIN.items()}


def to_numpy(spec: tuple) -> np.dtype:
    """The dtype of a native ``(id, scale, zero_point)``."""
    plain = _PLAIN_DTYPES.get(spec[0])
    if plain is not None:
        return plain
    i, scale, zero_point = spec
    if i in _NAMED_DTYPES:
        return _NAMED_DTYPES[i]
    if i not in _QUANTIZED:
        raise TypeError(f"element type {i} has no NumPy form")
    info = {"name": _QUANTIZED[i], "scale": scale}
    if "Asymm" in _QUANTIZED[i]:
        info["zero_point"] = zero_point
    return np.dtype(_STORAGE[i], metadata={"mgb_dtype": info})


def to_native(dtype) -> tuple:
    """The native ``(id, scale, zero_point)`` of anything that names a dtype.

    64-bit types mean their 32-bit forms.
    """
    if isinstance(dtype, str) and dtype in ("bfloat16", "qint1", "qint4", "quint4", "qint8", "quint8", "qint32"):
        if dtype != "bfloat16":
            raise TypeError(f"{dtype} needs a scale: use megalith.core.tensor.dtype.{dtype}(scale)")
        return (17, 0.0, 0)
    if isinstance(dtype, QuantDtypeMeta):
        raise TypeError(f"{dtype.name} needs a scale: use create_quantized_dtype")
    try:
        dtype = np.dtype(dtype)
    except TypeError as e:
        raise _core.ArgumentTypeError(f"{dtype!r} is no element type: {e}") from None
    info = (dtype.metadata or {}).get("mgb_dtype")
    if info is not None:
        return (_BY_NAME[info["name"]], float(info.get("scale", 0.0)), int(info.get("zero_point", 0)))
    try:
        return (_ID[dtype], 0.0, 0)
    except KeyError:
        raise _core.ArgumentTypeError(f"tensors can't hold elements of type {dtype}") from None


def storage_type(spec: tuple):
    """NumPy type of the values that a native dtype stores."""
    return _STORAGE[spec[0]]


def to_stored(array: np.ndarray, native: tuple) -> np.ndarray:
    """An array's values as what a native dtype stores.

    Raises:
        ValueError: intb1, intb2 and intb4 hold no such number.
    """
    if native[0] in _LARGEST:
        odd = array.astype(_NAMED_DTYPES[native[0]], copy=False).astype(np.int8)
        return (odd + _LARGEST[native[0]]) // 2
    if array.dtype == bfloat16:
        array = array.astype(np.float32)
    with np.errstate(all="ignore"):
        return array.astype(_STORAGE[native[0]], copy=False)


def from_stored(array: np.ndarray, native: tuple) -> np.ndarray:
    """An array of what a native dtype stores as one of the dtype; bfloat16 is given as float32."""
    if native[0] in _LARGEST:
        largest = _LARGEST[native[0]]
        return ((array & largest) * 2 - largest).astype(np.int8).view(_NAMED_DTYPES[native[0]])
    if native[0] == 17:
        return array.astype(bfloat16)
    return array if native[0] in _PLAIN else array.view(to_numpy(native))


class QuantDtypeMeta(namedtuple("QuantDtypeMeta", ["name", "cname", "np_dtype_str", "qmin", "qmax", "is_unsigned"])):
    """What is the same for every scale of a quantized type."""

    def __new__(cls, name, cname, np_dtype_str, qmin, qmax, is_unsigned=False):
        return super().__new__(cls, name, cname, np_dtype_str, qmin, qmax, is_unsigned)

    def __deepcopy__(self, _):
        return self


_builtin_quant_dtypes = {
    "quint8": QuantDtypeMeta("quint8", "Quantized8Asymm", "uint8", 0, 255, True),
    "qint8": QuantDtypeMeta("qint8", "QuantizedS8", "int8", -128, 127),
    "qint8_narrow": QuantDtypeMeta("qint8_narrow", "QuantizedS8", "int8", -127, 127),
    "quint4": QuantDtypeMeta("quint4", "Quantized4Asymm", "uint8", 0, 15, True),
    "qint4": QuantDtypeMeta("qint4", "QuantizedS4", "int8", -8, 7),
    "qint1": QuantDtypeMeta("qint1", "QuantizedS1", "int8", 0, 1),
    "qint32": QuantDtypeMeta("qint32", "QuantizedS32", "int32", -(2**31), 2**31 - 1),
    "quint2": QuantDtypeMeta("quint2", None, "uint8", 0, 3, True),
    "qint2": QuantDtypeMeta("qint2", None, "int8", -2, 1),
}


def create_quantized_dtype(dtype_meta: QuantDtypeMeta, scale: float, zp: Union[int, None]) -> np.dtype:
    """The quantized dtype of a scale and, for unsigned ones, a zero point: real = (stored - zp) * scale."""
    if dtype_meta.is_unsigned:
        if zp is None:
            raise ValueError(f"{dtype_meta.name} needs a zero point")
        if int(zp) != zp or not dtype_meta.qmin <= zp <= dtype_meta.qmax:
            raise ValueError(
                f"zero point {zp} of {dtype_meta.name} is not an integer in [{dtype_meta.qmin}, {dtype_meta.qmax}]"
            )
        info = {"name": dtype_meta.cname, "scale": float(scale), "zero_point": int(zp)}
    else:
        info = {"name": dtype_meta.cname, "scale": float(scale)}
    return np.dtype(dtype_meta.np_dtype_str, metadata={"mgb_dtype": info})


def quint8(scale, zero_point):
    """Quantized8Asymm with ``scale`` and ``zero_point``."""
    return create_quantized_dtype(_builtin_quant_dtypes["quint8"], scale, zero_point)


def qint8(scale):
    """QuantizedS8 with ``scale``."""
    return create_quantized_dtype(_builtin_quant_dtypes["qint8"], scale, None)


def qint32(scale):
    """QuantizedS32 with ``scale``."""
    return create_quantized_dtype(_builtin_quant_dtypes["qint32"], scale, None)


def quint4(scale, zero_point):
    """Quantized4Asymm with ``scale`` and ``zero_point``."""
    return create_quantized_dtype(_builtin_quant_dtypes["quint4"], scale, zero_point)


def qint4(scale):
    """QuantizedS4 with ``scale``."""
    return create_quantized_dtype(_builtin_quant_dtypes["qint4"], scale, None)


def qint1(scale):
    """QuantizedS1 with ``scale``."""
    return create_quantized_dtype(_builtin_quant_dtypes["qint1"], scale, None)


def _info(dtype):
    metadata = getattr(dtype, "metadata", None) or {}
    return metadata.get("mgb_dtype", {})


def is_quantize(dtype) -> bool:
    """Whether a dtype has a scale."""
    return "scale" in _info(dtype)


def get_scale(dtype) -> float:
    """The scale of a quantized dtype."""
    if not is_quantize(dtype):
        raise _core.OpError(f"{dtype} has no scale")
    return _info(dtype)["scale"]


def get_zero_point(dtype) -> int:
    """The zero point of an asymmetric quantized dtype."""
    if "zero_point" not in _info(dtype):
        raise _core.OpError(f"{dtype} has no zero point")
    return _info(dtype)["zero_point"]


def is_lowbit(dtype) -> bool:
    """Whether the dtype is one of the packed integers intb1, intb2 and intb4."""
    return dtype in (intb1, intb2, intb4)


def is_bfloat16(dtype) -> bool:
    """Whether the dtype is bfloat16."""
    return dtype is bfloat16 or isinstance(dtype, np.dtype) and dtype == bfloat16


def _converters(name):
    """``convert_to_...`` and ``convert_from_...`` of a quantized type."""
    meta = _builtin_quant_dtypes[name]

    def check(who, arr, dtype):
        if not isinstance(arr, np.ndarray):
            raise ValueError(f"{who}: arr is a {type(arr).__name__}, expected an ndarray")
        if not is_quantize(dtype) or _info(dtype)["name"] != meta.cname:
            raise ValueError(f"{who}: the dtype is {dtype}, expected {name} with a scale")
        return _info(dtype)["scale"], _info(dtype).get("zero_point", 0)

    def convert_to(arr: np.ndarray, q: np.dtype):
        scale, zero_point = check(f"convert_to_{name}", arr, q)
        return (np.round(arr / scale) + zero_point).clip(meta.qmin, meta.qmax).astype(q)

    def convert_from(arr: np.ndarray):
        scale, zero_point = check(f"convert_from_{name}", arr, getattr(arr, "dtype", None))
        return (arr.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)

    for function, doc in ((convert_to, f"Floats rounded to stored values of the {name} dtype ``q``."),
                          (convert_from, f"The floats that stored values of a {name} dtype stand for.")):  # fmt: skip
        function.__name__ = function.__qualname__ = f"{function.__name__}_{name}"
        function.__doc__ = doc
    return convert_to, convert_from


convert_to_quint8, convert_from_quint8 = _converters("quint8")
convert_to_qint8, convert_from_qint8 = _converters("qint8")
convert_to_qint32, convert_from_qint32 = _converters("qint32")
convert_to_quint4, convert_from_quint4 = _converters("quint4")
convert_to_qint4, convert_from_qint4 = _converters("qint4")
convert_to_qint1, convert_from_qint1 = _converters("qint1")


def is_dtype_equal(dt0, dt1) -> bool:
    """Whether two dtypes are the same, scales and zero points included."""
    return np.dtype(dt0) == np.dtype(dt1) and _info(np.dtype(dt0)) == _info(np.dtype(dt1))


def is_differentible_dtype(dtype) -> bool:
    """Whether tensors of the dtype can have gradients."""
    return dtype == np.float32 or dtype == np.float16 or is_bfloat16(dtype)


def get_dtype_bit(dtype_name: str) -> int:
    """The number of bits in a dtype's name."""
    digits = [int(n) for n in re.findall(r"\d+", dtype_name)]
    if dtype_name == "bool":
        return 1
    assert len(digits) == 1, f"{dtype_name} is no name of a dtype with one size"
    return digits[0]
