"""What programs reach for under megengine.core: ops, graphs run by hand, subgraphs, streams of random numbers."""

import json
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
from megalith.autodiff import GradManager
from megalith.core import _config
from megalith.core._imperative_rt import CompNode, OperatorNodeConfig, TensorAttr, imperative
from megalith.core._imperative_rt.core2 import apply, config_async_level, get_async_level
from megalith.core._imperative_rt.ops import delete_rng_handle, get_global_rng_seed, new_rng_handle, set_global_rng_seed
from megalith.core.ops import builtin
from megalith.core.tensor import megbrain_graph as mgb
from megalith.core.tensor.utils import subgraph_fn
from megalith.utils import comp_graph_tools as cgtools

X = np.arange(6, dtype=np.float32).reshape(2, 3)

COMPOSED = [
    (builtin.AddAxis([0]), [X], [X[None]]),
    (builtin.RemoveAxis([0]), [X[:1]], [X[0]]),
    (builtin.Stack(0), [X, X], [np.stack([X, X])]),
    (builtin.MeshGrid("xy"), [X[0], X[1]], np.meshgrid(X[0], X[1])),
    (builtin.Fill(2.5), [np.array([2, 3], np.int32)], [np.full((2, 3), 2.5, np.float32)]),
    (builtin.FillLike(value=2.0), [X], [np.full_like(X, 2)]),
    (builtin.FastpathCopy(), [X], [X]),
    (builtin.Borrow("xpux"), [X], [X]),
    (builtin.InplaceAdd(), [X.copy(), X, np.float32(0.5), np.float32(2)], [X * 2.5]),
    (builtin.PixelShuffle(2), [np.arange(8, dtype=np.float32).reshape(1, 4, 1, 2)], [[[[[0, 2, 1, 3], [4, 6, 5, 7]]]]]),
    (builtin.PixelShuffleBackward(2), [np.array([[[[0, 2, 1, 3], [4, 6, 5, 7]]]], np.float32)],
     [np.arange(8).reshape(1, 4, 1, 2)]),
    (builtin.ParamPackSplit([0, 2, 2, 6], [[2], [2, 2]]), [np.arange(6, dtype=np.float32)], [[0, 1], [[2, 3], [4, 5]]]),
    (builtin.ParamPackConcat([0, 2, 2, 6]), [np.float32([1, 2]), np.float32([[1, 2], [3, 4]]), np.int32([0, 2, 2, 6])],
     [[1, 2, 1, 2, 3, 4]]),
    (builtin.Reduce(mode="sum", axis=0), [X], [X.sum(0, keepdims=True)]),
    (builtin.Reduce(mode="sum", axis=0, keepdim=False), [X], [X.sum(0)]),
    (builtin.Reshape(shape=[3, 2]), [X], [X.reshape(3, 2)]),
    (builtin.Broadcast(shape=[4, 2, 3]), [X], [np.broadcast_to(X, (4, 2, 3))]),
    (builtin.TypeCvt(dtype="int32"), [X], [X.astype(np.int32)]),
    (builtin.TypeCvt(dtype=np.float16), [X], [X.astype(np.float16)]),
    (builtin.CollectiveComm(mode="all_reduce_sum", nr_devices=1), [X], [X]),
]  # fmt: skip


@pytest.mark.parametrize("op, inputs, wanted", COMPOSED, ids=[type(op).__name__ for op, _, _ in COMPOSED])
def test_ops_that_no_file_stores(op, inputs, wanted):
    got = apply(op, *(mge.Tensor(i) for i in inputs))
    assert len(got) == len(wanted)
    for g, w in zip(got, wanted):
        assert tuple(g.shape) == np.shape(w)
        np.testing.assert_array_equal(g.numpy(), w)


def test_lamb_update_is_the_optimizers_step():
    m, v, p, g = (mge.Tensor(X * k + 1) for k in (0.1, 0.2, 1, 2))
    out = apply(builtin.LAMBUpdate(0.9, 0.999, 1, 0.1, 0.01, 1e-8, True, False), m, v, p, g)
    np.testing.assert_allclose(out[0].numpy(), 0.9 * m.numpy() + 0.1 * g.numpy(), rtol=1e-6)
    np.testing.assert_allclose(out[1].numpy(), 0.999 * v.numpy() + 0.001 * g.numpy() ** 2, rtol=1e-5)
    assert (out[2].numpy() < p.numpy()).all()


def test_op_objects():
    assert builtin.Elemwise("add") == builtin.Elemwise(builtin.Elemwise.Mode.ADD) != builtin.Elemwise("mul")
    assert builtin.Elemwise("add").to_c() == builtin.Elemwise("ADD")
    op = builtin.Convolution(strategy=builtin.Convolution.Strategy.PROFILE | builtin.Convolution.Strategy.REPRODUCIBLE)
    assert op.strategy.value == 6 and builtin.LSTM is builtin.LSTMForward
    with pytest.raises(TypeError, match="no field"):
        builtin.Elemwise(foo=1)
    with pytest.raises(ValueError, match="no value"):
        builtin.Elemwise("foo")
    with pytest.raises(RuntimeError, match="4 devices"):
        apply(builtin.CollectiveComm(nr_devices=4), mge.Tensor(X))


def test_a_graph_with_callbacks():
    g = mgb.Graph()
    x = mge.Tensor(X)
    var, _ = mgb.input_callback(lambda: x, device=x.device, dtype=x.dtype, graph=g)
    result = Future()
    out = mgb.output_callback(result.set_result, F.neg(var))
    g.compile(out)()
    np.testing.assert_array_equal(result.result().numpy(), -X)


def test_a_graph_that_waits_for_its_input():
    g = mgb.Graph()
    g.options.async_exec_level = 0b100
    px = mgb.InputNode(device="xpux", dtype="float32", graph=g)
    py, shape = mgb.OutputNode(px.outputs[0]), mgb.AttrOutputNode(px.outputs[0])
    values = mgb.ValueOutputNode(px.outputs[0] * 2)
    f = g.compile(py.outputs[0], shape.outputs[0], values.outputs[0])
    for n in (2, 5, 3):
        f.execute()
        px.set_value(mge.Tensor(np.arange(n, dtype=np.float32)))
        np.testing.assert_array_equal(py.get_value().numpy(), np.arange(n))
        assert shape.get_value().shape == (n,)
        np.testing.assert_array_equal(values.get_value(), 2 * np.arange(n))
        f.wait()


def test_an_error_of_an_input_reaches_the_output():
    def fail():
        raise RuntimeError("no value today")

    g = mgb.Graph()
    x, _ = mgb.input_callback(fail, device="xpux", dtype="float32", graph=g)
    y = mgb.OutputNode(F.neg(x))
    f = g.compile(y.outputs[0])
    f.execute()
    with pytest.raises(RuntimeError, match="no value today"):
        y.get_value()
    with pytest.raises(RuntimeError, match="no value today"):
        f.wait()
    with pytest.raises(RuntimeError, match="not running"):
        f.wait()


def test_converted_inputs_and_outputs(tmp_path):
    @mge.jit.trace(symbolic=True, capture_as_const=True)
    def fun(x):
        return x * 2 + 1

    fun(mge.Tensor(X))
    fun.dump(str(tmp_path / "m.mge"), arg_names=["data"], output_names=["out"])
    loaded = mgb.load_graph(str(tmp_path / "m.mge"))
    variables, inputs = cgtools.convert_inputs(loaded.output_vars_list)
    variables, outputs = cgtools.convert_outputs(variables)
    assert list(inputs) == ["data"] and list(outputs) == ["out"]
    f = variables[0].graph.compile(variables)
    g = mgb.Graph.of(variables[0].graph)
    g.compile(variables)
    g.execute()
    inputs["data"].set_value(mge.Tensor(X))
    np.testing.assert_array_equal(outputs["out"].get_value().numpy(), X * 2 + 1)
    g.wait()
    assert f is not None


def test_subgraphs():
    @subgraph_fn("Scale", dtype="float32", device="xpux", nr_inputs=2)
    def scale(inputs, f, c):
        x, y = inputs
        return (f("fma3", x, y, c(1.0)), f(builtin.Reduce(mode="max", axis=0), x)), (True, False)

    @subgraph_fn("Mul", dtype="float32", device="xpux", nr_inputs=2, custom_grad=True)
    def mul(inputs, f, c):
        x, y = inputs
        (dz,) = yield (f("*", x, y),)
        yield (f("*", dz, y), f("*", dz, x))

    x, y = mge.Tensor(X), mge.Tensor(X + 1)
    with GradManager().attach([x, y]) as gm:
        out, largest = scale(x, y)
        (product,) = mul(x, y)
        gm.backward((out + largest * 0 + product).sum())
    np.testing.assert_array_equal(out.numpy(), X * (X + 1) + 1)
    np.testing.assert_array_equal(largest.numpy(), X.max(0, keepdims=True))
    np.testing.assert_array_equal(x.grad.numpy(), 2 * (X + 1))
    np.testing.assert_array_equal(y.grad.numpy(), 2 * X)


def test_what_a_gradient_reads():
    attr = TensorAttr()
    attr.dtype, attr.comp_node = "float32", "xpux"
    graph, saved, has = imperative.make_backward_graph(builtin.Elemwise("relu"), [attr], [True], [True])
    assert has == [True] and saved[2] and sum(saved[:2]) == 1  # dy, and x or y


def test_streams_of_random_numbers():
    a, b = new_rng_handle(CompNode("xpu0"), 7), new_rng_handle(CompNode("xpu0"), 7)
    shape = mge.Tensor([4], dtype="int32")

    def draw(handle):
        return apply(builtin.UniformRNG(handle=handle), shape)[0].numpy()

    first = draw(a)
    np.testing.assert_array_equal(first, draw(b))
    assert (first != draw(a)).all()
    delete_rng_handle(a)
    with pytest.raises(ValueError, match="handle"):
        draw(a)
    delete_rng_handle(b)
    before = get_global_rng_seed()
    set_global_rng_seed(11)
    assert get_global_rng_seed() == 11
    mge.random.seed(before)


def test_settings():
    with _config._override(benchmark_kernel=True, async_level=0):
        assert mge.config.benchmark_kernel is _config.benchmark_kernel is True
        assert mge.config.async_level == 0
    assert mge.config.async_level == 2 and not mge.config.benchmark_kernel
    mge.config.deterministic_kernel = True
    assert _config.deterministic_kernel
    mge.config.deterministic_kernel = False
    with pytest.raises(RuntimeError):
        config_async_level(3)
    assert get_async_level() == 2
    mge.core.tensor.amp.enabled = True
    assert mge.amp.enabled
    mge.amp.enabled = False
    config = OperatorNodeConfig()
    config.comp_node_arr = ["xpux", "xpux:1"]
    with pytest.raises(ValueError):
        _ = config.comp_node


def test_every_core_name_that_tests_use_is_there():
    from megalith import compat

    names = json.loads((Path(__file__).parent / "data/core_names.json").read_text())
    compat.install()
    try:
        for name in names:
            import importlib

            obj, parts = importlib.import_module("megengine"), name.split(".")
            for i, part in enumerate(parts[1:], 1):
                if not hasattr(obj, part):
                    importlib.import_module(".".join(parts[: i + 1]))
                obj = getattr(obj, part)
    finally:
        compat.uninstall()
