"""The functional API on graph variables: the graph that it makes gives what eager calls give."""

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
from megalith import _core

X = np.arange(12, dtype=np.float32).reshape(3, 4) - 5

CALLS = {
    "operators": lambda x: (x + 1) * 2 - x / 3 + (1 - x) ** 2,
    "compare": lambda x: x < 2,
    "logic": lambda x: (x < 2) & (x > -3),
    "int_index": lambda x: x[1],
    "scalar_index": lambda x: x[1, 2],
    "slice": lambda x: x[1:, ::-1],
    "none_index": lambda x: x[:, None, 1],
    "vector_index": lambda x: x[[0, 2], 1:3],
    "mask": lambda x: x[x > 1],
    "row_mask": lambda x: x[mge.Tensor([True, False, True])],
    "reshape": lambda x: F.reshape(x, (2, -1)),
    "flatten": lambda x: F.flatten(x),
    "transpose": lambda x: x.transpose(1, 0),
    "broadcast": lambda x: F.broadcast_to(x, (2, 3, 4)),
    "expand_squeeze": lambda x: F.squeeze(F.expand_dims(x, [0, 2]), 0),
    "sum": lambda x: F.sum(x, (0, 1)),
    "mean": lambda x: x.mean(axis=1, keepdims=True),
    "var": lambda x: F.var(x, 0),
    "norm": lambda x: F.norm(x, axis=1),
    "matmul": lambda x: F.matmul(x, x, transpose_b=True),
    "batched_matmul": lambda x: F.matmul(x.reshape(1, 3, 4), x.reshape(1, 4, 3)),
    "vector_matmul": lambda x: F.matmul(x, x[0]),
    "concat": lambda x: F.concat([x, x], 1),
    "stack": lambda x: F.stack([x, x], -1),
    "split": lambda x: F.split(x, 2, 1)[1],
    "where": lambda x: F.where(x > 0, x, -x),
    "clip": lambda x: F.clip(x, -1, 2),
    "argmax": lambda x: F.argmax(x, 1),
    "sort": lambda x: F.sort(x, descending=True)[0],
    "topk": lambda x: F.topk(x, 2)[0],
    "cumsum": lambda x: F.cumsum(x, 1),
    "roll": lambda x: F.roll(x, 1, 1),
    "repeat": lambda x: F.repeat(x, 2, 1),
    "tile": lambda x: F.tile(x, (2, 1)),
    "gather": lambda x: F.gather(x, 1, mge.Tensor([[0, 1], [1, 2], [3, 0]])),
    "zeros_like": lambda x: F.zeros_like(x) + x,
    "astype": lambda x: x.astype("int32") // 2,
    "setitem": lambda x: _set(x, (slice(None), 1), 7.0),
    "setitem_mask": lambda x: _set(x, x > 1, 0.0),
    "setitem_new_axis": lambda x: _set(x, (None, 0), 3.0),
}


def _set(x, index, value):
    return _core.setitem(x, index, value)


@pytest.mark.parametrize("name", CALLS)
def test_graphs_give_what_eager_calls_give(name):
    f = CALLS[name]
    graph = _core.new_graph()
    out = f(graph.add_input("x", (0, 0.0, 0), (3, 4)))
    model = graph.compile([out])
    got = model.run({"x": mge.Tensor(X)})[0].numpy()
    want = f(mge.Tensor(X)).numpy()
    np.testing.assert_array_equal(got.reshape(want.shape), want)
    assert got.dtype == want.dtype
