"""NumPy dtypes of ours: bfloat16 and integers of few bits; how Tensors take and give them."""

import pickle

import numpy as np
import pytest

import megalith as mge
from megalith.core.tensor import dtype as types
from megalith.core.tensor.dtype import bfloat16, intb1, intb2, intb4

ODD = {1: [-1, 1], 2: [-3, -1, 1, 3], 4: list(range(-15, 16, 2))}


@pytest.mark.parametrize("bits, dtype", [(1, intb1), (2, intb2), (4, intb4)])
def test_few_bits(bits, dtype):
    a = np.array(ODD[bits], dtype=dtype)
    assert a.itemsize == 1 and str(dtype) == f"pyintb{bits}" and types.is_lowbit(dtype)
    for other in (np.int8, np.uint8, np.int16, np.int32, np.int64, np.float32, np.float64):
        back = a.astype(other)
        np.testing.assert_array_equal(back, np.array(ODD[bits]).astype(other))
        positive = np.abs(np.array(ODD[bits])).astype(other)
        np.testing.assert_array_equal(positive.astype(dtype).astype(other), positive)
    assert (a == a).all() and a.tolist() == ODD[bits] and (a + 1).dtype == np.float64
    for wrong in (0, 2, max(ODD[bits]) + 2, -max(ODD[bits]) - 2):
        with pytest.raises(ValueError, match="odd numbers between"):
            np.array([wrong], dtype=dtype)
        with pytest.raises(ValueError, match="odd numbers between"):
            np.array([wrong], "int32").astype(dtype)
    for wrong in (1.5, "1", None):
        with pytest.raises(ValueError, match="must be int"):
            np.array([wrong], dtype=dtype)
    t = mge.Tensor(ODD[bits], dtype=dtype)
    assert t.dtype == dtype and t.numpy().dtype == dtype and t.tolist() == ODD[bits]
    assert mge.Tensor(a).tolist() == ODD[bits]
    with pytest.raises(RuntimeError, match="no conversion"):
        t.astype("int32")
    with pytest.raises(ValueError, match="odd numbers"):
        mge.Tensor([2], dtype=dtype)


def test_bfloat16():
    values = np.array([1.5, -0.0, 3.140625, np.inf, -1e30], np.float32)
    a = values.astype(bfloat16)
    assert a.itemsize == 2 and str(bfloat16) == "pybfloat16" and types.is_bfloat16(a.dtype)
    np.testing.assert_allclose(a.astype(np.float32), values, rtol=2**-8)
    np.testing.assert_array_equal(np.array([1.00390625, 1.01171875]).astype(bfloat16).astype("f4"), [1, 1.015625])
    t = mge.Tensor(a)
    assert t.dtype == bfloat16 and t.numpy().tobytes() == a.tobytes()
    assert mge.Tensor(values).astype(bfloat16).numpy().tobytes() == a.tobytes()
    for same in (pickle.loads(pickle.dumps(a)), pickle.loads(pickle.dumps(t)).numpy(), a.copy(), a[::-1][::-1]):
        assert same.dtype == bfloat16 and same.tobytes() == a.tobytes()
    assert a.byteswap().byteswap().tobytes() == a.tobytes()


def test_elements():
    a = np.array([3, -1], dtype=intb2)
    a[0] = np.int32(1)
    a[1] = a[0]
    assert a.tolist() == [1, 1] and np.count_nonzero(a) == 2
    with pytest.raises(ValueError):
        a[0] = 1.5
