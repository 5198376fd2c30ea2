import copy
import pickle

import numpy as np
import pytest

import megalith as mge
from megalith import _core, _ops
from megalith.core.tensor import dtype as D


@pytest.mark.parametrize("a, b, want", [
    ("int8", "int32", "int32"), ("int32", "float16", "float32"), ("bool", "int8", "float32"), ("float16", 2, "float16"),
    ("int32", 1.5, "float32"), ("uint8", 300, "uint8"), ("float32", True, "float32"),
])  # fmt: skip
def test_promotion_is_megengines(a, b, want):
    x = mge.Tensor(np.ones(2), dtype=a)
    y = mge.Tensor(np.ones(2), dtype=b) if isinstance(b, str) else b
    assert (x + y).dtype == want


def test_integers_of_different_signedness_are_refused():
    with pytest.raises(TypeError, match="signedness"):
        mge.Tensor([1], dtype="int8") + mge.Tensor([1], dtype="uint8")


def test_scalars_keep_an_empty_shape():
    x = mge.Tensor(3)
    assert x.shape == () and (x + 1).shape == () and (x * 2.5).numpy().shape == ()


def test_copies():
    p = mge.Parameter([1.0, 2.0], name="w")
    for q in (pickle.loads(pickle.dumps(p)), copy.deepcopy(p), copy.copy(p)):
        assert isinstance(q, mge.Parameter) and q.name == "w"
        np.testing.assert_equal(q.numpy(), [1, 2])


def test_quantized():
    q = mge.Tensor([0.1, 0.52]).astype(D.qint8(0.1))
    np.testing.assert_equal(q.numpy(), [1, 5])
    assert D.get_scale(q.dtype) == pytest.approx(0.1)


def test_dlpack_shares_memory():
    x = mge.Tensor([[1.0, 2.0]])
    np.testing.assert_equal(np.from_dlpack(x), [[1, 2]])


def test_gradient_of_gradient():
    x = mge.Tensor([1.0, 2.0, 3.0])
    outer = _core.Tape()
    outer.watch(x)
    inner = _core.Tape()
    inner.watch(x)
    y = _ops.Reduce(x * x * x, mode="SUM", axis=0)
    (g,) = inner.gradients([y], [None], [x])
    inner.release()
    np.testing.assert_allclose(g.numpy(), [3, 12, 27])
    np.testing.assert_allclose(outer.gradients([g], [None], [x])[0].numpy(), [6, 12, 18])


@pytest.mark.parametrize("bad", ["abc", {}, None, object(), 1j])
def test_no_numbers(bad):
    with pytest.raises(TypeError):
        mge.Tensor(bad)
