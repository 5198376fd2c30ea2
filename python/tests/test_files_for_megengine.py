"""Dumps keep to what MegEngine 1.13.0's loader takes. That it loads these files, and gives the same, was checked with it
(with both formats, for these and all calls of data/calls.jsonl); here the files are looked at for what it refused."""

import io

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
from megalith import _core
from megalith.jit import trace

X = np.arange(6, dtype=np.float32).reshape(2, 3)
BOOLS = mge.Tensor([[True, False, True], [False, False, False]])


def _set(index, value):
    def f(x):
        y = x * 2
        y[index] = value
        return y

    return f


def _set_masked(x):
    y = x * 2
    y[y > 4] = 7
    return y


# What is called, and the types of the file's nodes without constants and inputs.
CASES = {
    "set part": (_set(0, 5), "Elemwise Subtensor GetVarShape Broadcast SetSubtensor"),
    "set rows": (_set([0, 1], 5), "Elemwise IndexingMultiAxisVec GetVarShape Broadcast IndexingSetMultiAxisVec"),
    "max of bools": (lambda x: F.max(x > 2, 0), "ElemwiseMultiType TypeCvt Reduce TypeCvt AxisAddRemove"),
    "min of bools": (lambda x: F.min(x > 2), "ElemwiseMultiType TypeCvt Reduce TypeCvt"),
    "plus nothing": (lambda x: x + 0, ""),
    "times one": (lambda x: 1 * x, ""),
    "power of one": (lambda x: x**1, ""),
    "plus nothing within": (lambda x: F.relu(x + 0), "Elemwise Elemwise"),
    "known shape": (lambda x: x + F.arange(3).reshape(3), "Linspace Elemwise"),
    "known shape of a sum": (lambda x: x + F.cumsum(mge.Tensor([3.0, 1.0, 2.0]), 0).reshape(3), "Cumsum Elemwise"),
    "shape of the input": (lambda x: F.exp(x).reshape(2, 3), "Elemwise Reshape"),
    "no rows": (lambda x: F.concat([x, mge.Tensor(np.zeros((0, 3), "float32"))]), "Subtensor Identity Concat"),
}  # fmt: skip


def _files(f):
    for dump_format in ("FBS", "FBS_V2"):
        out = io.BytesIO()
        f.dump(out, arg_names=["x"], dump_format=dump_format, optimize_for_inference=False)
        yield _core.Graph.loads(out.getvalue())[0]


@pytest.mark.parametrize("name", CASES)
def test_nodes(name):
    function, types = CASES[name]
    f = trace(symbolic=True, capture_as_const=True)(function)
    want = f(mge.Tensor(X)).numpy()
    for graph in _files(f):
        assert [n.type for n in graph.nodes() if n.kind == "compute"] == types.split()
        (got,) = graph.compile([v for v, _ in graph.outputs]).run({"x": mge.Tensor(X)})
        np.testing.assert_array_equal(got.numpy().reshape(want.shape), want)


def test_masks_are_set_in_full():
    f = trace(symbolic=True, capture_as_const=True)(_set_masked)
    f(mge.Tensor(X))
    for graph in _files(f):
        (node,) = [n for n in graph.nodes() if n.type == "IndexingSetMultiAxisVec"]
        assert node.inputs[1].owner.type == "Broadcast"
        for x in (X, -X, X + 1):  # another number of them
            (got,) = graph.compile([v for v, _ in graph.outputs]).run({"x": mge.Tensor(x)})
            np.testing.assert_array_equal(got.numpy(), np.where(x > 2, 7, x * 2))


@pytest.mark.parametrize("mode", ["EQ", "NEQ", "LT", "LEQ", "ISNAN", "ISINF"])
def test_comparisons_are_written_with_their_type(mode):
    both = {"EQ": lambda x: x == x * 2, "NEQ": lambda x: x != x * 2, "LT": lambda x: x < x * 2, "LEQ": lambda x: x <= 3}
    f = trace(symbolic=True, capture_as_const=True)(both.get(mode) or {"ISNAN": F.isnan, "ISINF": F.isinf}[mode])
    f(mge.Tensor(X))
    for graph in _files(f):
        (node,) = [n for n in graph.nodes() if n.type == "ElemwiseMultiType"]
        assert mode in str(node.op.params) and node.op.output_dtype[0] == mge.Tensor([True])._dtype_id


def test_a_number_of_classes_is_an_input():
    f = trace(symbolic=True, capture_as_const=True)(lambda x, n: F.one_hot(x, n))
    f(mge.Tensor([0, 2, 1]), mge.Tensor(3))
    out = io.BytesIO()
    f.dump(out, arg_names=["x", "n"])
    graph = _core.Graph.loads(out.getvalue())[0]
    feeds = {"x": mge.Tensor([0, 3]), "n": mge.Tensor([4])}
    (got,) = graph.compile([v for v, _ in graph.outputs]).run(feeds)
    np.testing.assert_array_equal(got.numpy(), np.eye(4)[[0, 3]])
