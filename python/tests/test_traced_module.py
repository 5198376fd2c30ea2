"""Traced modules: what they print, compute and save, against recorded results of MegEngine; edits; what they refuse."""

import copy
import functools
import io
import json
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import megalith as mge
import megalith.functional as F
import megalith.module as M
import megalith.quantization as Q
import megalith.traced_module as tm
from megalith.autodiff import GradManager
from megalith.functional import relu as relu_by_name
from megalith.jit import trace
from megalith.traced_module.expr import Apply, CallFunction, CallMethod, Constant, is_call_module
from megalith.traced_module.module_tracer import active_module_tracer
from megalith.utils.comp_graph_tools import GraphInference

RECORDED = Path(__file__).with_name("recorded")
sys.path.insert(0, str(RECORDED))
import model_cases  # noqa: E402
import traced_module_cases as cases  # noqa: E402

WANTED = json.loads((RECORDED / "traced_module.json").read_text())
tm.wrap(cases.scaled)


@functools.lru_cache(maxsize=1)
def results():
    return json.loads(json.dumps(cases.Results("megalith").all()))


def same(found, wanted):
    if isinstance(wanted, float) or isinstance(found, float):
        return found == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict) and found.keys() == wanted.keys() and all(same(found[k], wanted[k]) for k in wanted)
        )
    return found == wanted


@pytest.mark.parametrize("name", WANTED)
def test_as_megengine(name):
    assert same(results()[name], WANTED[name]), (results()[name], WANTED[name])


def test_a_traced_module_of_megengine_loads():
    saved = mge.load(str(RECORDED / "traced_module.pkl"))
    x = mge.Tensor(saved["input"])
    for module in (saved["module"], saved["flat"]):
        np.testing.assert_allclose(module(x)[0].numpy(), saved["output"], rtol=1e-5)
        file = io.BytesIO()
        mge.save(module, file)
        file.seek(0)
        again = mge.load(file)
        assert str(again.graph) == str(module.graph)
        np.testing.assert_array_equal(again(x)[0].numpy(), module(x)[0].numpy())
    assert str(saved["module"].flatten().graph).count("\n") == str(saved["flat"].graph).count("\n")


def traced(forward, *args, **attributes):
    class Net(M.Module):
        def __init__(self):
            super().__init__()
            for name, value in attributes.items():
                setattr(self, name, value)

        def forward(self, *args):
            return forward(self, *args)

    net = Net()
    net.eval()
    return net, tm.trace_module(net, *args)


X = mge.Tensor(np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3))


def kinds(module):
    return [
        type(e).__name__ for e in module.graph.exprs(recursive=False) if type(e).__name__ not in ("Input", "GetAttr")
    ]


def test_functions_by_any_name_are_recorded():
    act, partial = F.tanh, functools.partial(F.pow, y=2)

    def helper(x):
        return act(x)

    def forward(self, x):
        return relu_by_name(x), act(x), helper(x), F.nn.relu(x), self.stored(x), F.exp(partial(x) + 1)

    net, t = traced(forward, X, stored=F.sigmoid)
    assert not [e for e in t.graph.exprs() if isinstance(e, Constant) and "pow" not in str(e)][1:]
    for a, b in zip(net(X + 1), t(X + 1)[:5]):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_everything_is_put_back():
    before = [F.relu, F.nn.relu, relu_by_name, mge.Tensor.__add__, mge.Tensor.shape, M.Module.__call__]

    def fails(self, x):
        F.relu(x)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        traced(fails, X)
    graph = traced(lambda self, x: x + 1, X)[1].graph
    with pytest.raises(ZeroDivisionError), graph.insert_exprs():
        graph.outputs[0] + 1
        1 / 0
    assert len(graph._exprs) == 1
    assert before == [F.relu, F.nn.relu, relu_by_name, mge.Tensor.__add__, mge.Tensor.shape, M.Module.__call__]
    assert (
        active_module_tracer() is None
        and "__add__" not in vars(mge.Tensor)
        and "__getattribute__" not in vars(M.Module)
    )


def test_parameters_are_shared_and_get_gradients():
    net = M.Sequential(M.Linear(3, 4), M.ReLU(), M.Linear(4, 1))
    t = tm.trace_module(net, X)
    grads = []
    for module in (net, t):
        gm = GradManager().attach(module.parameters())
        with gm:
            gm.backward((module(X) ** 2).mean())
        grads.append([p.grad.numpy() for p in net.parameters()])
        for p in net.parameters():
            p.grad = None
    for a, b in zip(*grads):
        np.testing.assert_array_equal(a, b)


def test_a_traced_module_traces_and_dumps(tmp_path):
    net = M.Sequential(M.Conv2d(1, 2, 3), M.BatchNorm2d(2), M.ReLU())
    net.eval()
    x = mge.Tensor(np.random.RandomState(0).rand(1, 1, 5, 5).astype("float32"))
    t = tm.optimize(tm.trace_module(net, x))
    predict = trace(t, symbolic=True, capture_as_const=True)
    predict(x)
    predict.dump(str(tmp_path / "m.mge"), arg_names=["x"], optimize_for_inference=False)
    (out,) = GraphInference(str(tmp_path / "m.mge")).run(x.numpy()).values()
    np.testing.assert_allclose(out, net(x).numpy(), rtol=1e-5, atol=1e-6)


def test_a_module_called_with_other_constants_has_several_graphs():
    class Inner(M.Module):
        def forward(self, x, k):
            return x * k if k < 5 else x + k

    net, t = traced(lambda self, x: self.inner(x, 2) + self.inner(x, 7) + self.inner(x, 2), X, inner=Inner())
    assert len(t.inner.argdef_graph_map) == 2
    np.testing.assert_array_equal(t(X).numpy(), net(X).numpy())
    np.testing.assert_array_equal(t.flatten()(X).numpy(), net(X).numpy())
    assert t.inner(X, 7).numpy()[0, 0] == 6
    with pytest.raises(ValueError, match="support input args kwargs format"):
        t.inner(X, 3)
    with pytest.raises(ValueError, match="2 graphs"):
        t.inner.graph


def test_modules_of_lists_keep_training_together():
    net, t = traced(lambda self, x: self.layers[1](self.layers[0](x)) * self.values[0], X,
                    layers=[M.Linear(3, 3), M.ReLU()], values=[mge.Parameter([2.0])])  # fmt: skip
    assert t(X).numpy().tolist() == net(X).numpy().tolist()
    assert sorted(k for k, _ in t.named_parameters()) == ["layers.0.bias", "layers.0.weight", "values.0"]


@pytest.mark.parametrize("kind", [M.LSTM, M.RNN, M.GRU])
def test_recurrent_layers(kind):
    net, t = traced(lambda self, x: self.rnn(x)[0].mean(), mge.Tensor(np.ones((4, 2, 3), "float32")), rnn=kind(3, 5))
    x = mge.Tensor(np.random.RandomState(0).rand(4, 2, 3).astype("float32"))
    np.testing.assert_array_equal(t(x).numpy(), net(x).numpy())


class Factors(M.Module):
    """Additions and factors of numbers around convolutions, some of which have no place to go."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = M.Conv2d(1, 4, 3), M.BatchNorm2d(4)
        self.grouped, self.last = M.Conv2d(4, 4, 3, groups=2, bias=False), M.Conv2d(8, 2, 1)
        self.c = mge.Parameter(np.arange(1, 5, dtype="float32").reshape(1, 4, 1, 1))

    def forward(self, x):
        x = F.relu(self.bn(self.conv((3 * (x * 2 + 1) - 4) / 5)))
        a = F.relu(self.grouped(x)) * 3 * self.c
        b = F.max_pool2d(x, 3, 1) * (-2)
        x = F.flatten(F.avg_pool2d(self.last(F.concat([a, b], 1)), 2)) * 2 + 1 - 3
        return F.leaky_relu(-x * 4) * (-2)


@pytest.mark.parametrize("passes, methods", [
    ("FuseAddMul", 12), (["BackwardFoldScale"], 10), (["FuseAddMul", "BackwardFoldScale"], 9),
])  # fmt: skip
def test_numbers_are_folded(passes, methods):
    net = Factors()
    net.eval()
    net.bn.running_mean[...], net.bn.weight[...] = 0.3, 2.0
    x = mge.Tensor(np.random.RandomState(1).randn(2, 1, 9, 9).astype("float32"))
    t = tm.trace_module(net, x)
    wanted = t(x).numpy()
    folded = tm.optimize(t, passes)
    np.testing.assert_allclose(folded(x).numpy(), wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(t(x).numpy(), wanted)
    assert sum(e.method in ("__add__", "__sub__", "__mul__", "__rmul__", "__truediv__")
               for e in folded.graph.exprs() if isinstance(e, CallMethod)) == methods, folded.graph  # fmt: skip


def test_passes_with_a_wrong_name():
    with pytest.raises(ValueError, match="no pass 'Fuse'; there are FuseConvBn, FuseAddMul, BackwardFoldScale"):
        tm.optimize(tm.trace_module(M.ReLU(), X), "Fuse")


@pytest.mark.parametrize("name", ["LeNet", "ResNet18", "ShuffleNetV2"])
def test_models(name):
    kind, shape = model_cases.make("megalith")[name]
    net, x = kind(), mge.Tensor(np.random.RandomState(0).rand(2, *shape).astype("float32"))
    net.eval()
    wanted = net(x).numpy()
    t = tm.trace_module(net, x)
    np.testing.assert_array_equal(t(x).numpy(), wanted)
    np.testing.assert_array_equal(t.flatten()(x).numpy(), wanted)
    fused = tm.optimize(t)
    np.testing.assert_allclose(fused(x).numpy(), wanted, rtol=1e-3, atol=1e-4)
    assert fused.graph.get_module_by_type(M.BatchNorm2d).as_count() == 0
    assert sorted(t.state_dict()) == sorted(net.state_dict())


def test_a_deep_network_is_copied_and_saved():
    net = M.Sequential(*[M.ReLU() for _ in range(1500)])
    t = tm.trace_module(net, X)
    file = io.BytesIO()
    mge.save(t, file)
    file.seek(0)
    np.testing.assert_array_equal(mge.load(file)(X).numpy(), F.relu(X).numpy())
    assert copy.deepcopy(t.flatten()).graph.exprs().as_count() == 3002


def test_a_saved_module_loads_in_another_process(tmp_path):
    _, t = traced(lambda self, x: cases.scaled(self.fc(x)), X, fc=M.Linear(3, 2))
    mge.save(t, str(tmp_path / "t.tm"))
    code = (
        f"import sys; sys.path.insert(0, {str(RECORDED)!r}); import megalith as mge, numpy as np;"
        f"t = mge.load({str(tmp_path / 't.tm')!r});"
        f"print(float(t(mge.Tensor(np.ones((2, 3), 'float32'))).sum().item()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) == pytest.approx(t(mge.Tensor(np.ones((2, 3), "float32"))).sum().item(), rel=1e-5)


def test_functions_that_can_not_be_found_are_named():
    _, t = traced(lambda self, x: F.relu(x), X)
    t.graph.get_function_by_type(F.relu).as_unique().func = lambda x: x
    file = io.BytesIO()
    mge.save(t, file)
    file.seek(0)
    with pytest.raises(ImportError, match="lambda"):
        mge.load(file)
    assert pickle.dumps(copy.deepcopy(t))


def test_loaders_repair_what_files_call(monkeypatch):
    from megalith.traced_module import serialization

    for table in ("FUNCTIONAL_LOADER", "MODULE_LOADER", "TENSORMETHOD_LOADER", "OPDEF_LOADER"):
        monkeypatch.setattr(serialization, table, {})
    seen = []

    @serialization.register_functional_loader(("megengine.functional.nn", "relu"))
    def load_relu(expr):
        assert expr.func == ("megalith.functional.nn", "relu")
        expr.func = F.sigmoid

    @serialization.register_tensor_method_loader("__add__")
    def load_add(expr):
        expr.set_arg("value", 5)

    @serialization.register_module_loader(("megengine.module.linear", "Linear"))
    def load_linear(expr):
        seen.append(str(expr))

    net, t = traced(lambda self, x: F.relu(self.fc(x)) + 1, X, fc=M.Linear(3, 2))
    file = io.BytesIO()
    mge.save(t, file)
    file.seek(0)
    loaded = mge.load(file)
    np.testing.assert_array_equal(loaded(X).numpy(), (F.sigmoid(net.fc(X)) + 5).numpy())
    copy.deepcopy(loaded)
    assert len(seen) == 1 and "fc_out = fc(args_0, )" in seen[0]


def test_names_of_nodes_are_unique():
    _, t = traced(lambda self, x: F.relu(x) + 1, X)
    first, second = t.graph.nodes().as_list()[-2:]
    second.name = "result"
    assert "result = relu_out.__add__(1, )" in str(t.graph)
    with pytest.raises(ValueError, match="has a node named"):
        first.name = "result"


def test_insertion_of_a_module_that_is_looked_into():
    class Inner(M.Module):
        def __init__(self):
            super().__init__()
            self.fc = M.Linear(3, 3)

        def forward(self, x):
            return F.relu(self.fc(x)) + 1

    _, t = traced(lambda self, x: x * 2, X)
    inner = t.inner = Inner()
    graph = t.graph
    with graph.insert_exprs():
        out = graph.inputs[0].inner(graph.outputs[0])
        assert graph.get_function_by_type(F.relu).as_count() == 0
    graph.replace_node({graph.outputs[0]: out})
    graph.compile()
    assert isinstance(t.inner, tm.TracedModule) and t.inner.fc is inner.fc
    np.testing.assert_array_equal(t(X).numpy(), inner(X * 2).numpy())


def test_insertion_keeps_the_order():
    _, t = traced(lambda self, x: F.exp(F.relu(x)), X)
    graph = t.graph
    first, last = graph.exprs().as_list()[-2:]
    with pytest.raises(ValueError, match="takes a node that is made later"), graph.insert_exprs(first):
        last.outputs[0] + 1
    assert len(graph._exprs) == 2 and not last.outputs[0].users
    with pytest.raises(ValueError, match="is made after"):
        first.replace_inputs({first.inputs[0]: last.outputs[0]})
    with pytest.raises(ValueError, match="is not in the graph"), graph.insert_exprs():
        traced_elsewhere.graph.outputs[0] + 1


_, traced_elsewhere = traced(lambda self, x: x + 1, X)


def test_arithmetic_of_nodes_needs_insertion():
    with pytest.raises(TypeError):
        traced_elsewhere.graph.outputs[0] + 1


def test_kinds_of_expressions():
    from megalith.core._imperative_rt.core2 import apply
    from megalith.core.ops.builtin import Elemwise

    _, t = traced(lambda self, x: F.relu(self.fc(x)) + apply(Elemwise(mode="EXP"), x)[0].sum() + mge.Tensor(1.0), X,
                  fc=M.Linear(3, 3))  # fmt: skip
    assert kinds(t) == ["CallMethod", "CallFunction", "Apply", "CallMethod", "CallMethod", "Constant", "CallMethod"]
    assert is_call_module(t.graph.get_method_by_type("__call__").as_unique(), M.Linear)
    assert [c for c in (Apply, CallFunction, CallMethod) if c.__name__ in kinds(t)]


def test_the_default_check_finds_what_is_not_pure(monkeypatch):
    class Counts(M.Module):
        n = 0

        def forward(self, x):
            object.__setattr__(self, "n", self.n + 1)
            return F.relu(x) + mge.random.uniform(size=(2, 3))

    net = Counts()
    net.eval()
    with pytest.raises(ValueError, match="disable_default_checker"):
        tm.trace_module(net, X)
    monkeypatch.setattr(tm.tm_config, "_enable_default_checker", False)
    assert isinstance(tm.trace_module(net, X), tm.TracedModule)


def test_the_expression_checker(monkeypatch):
    monkeypatch.setattr(tm.tm_config, "_enable_expr_checker", True)
    traced(lambda self, x: (F.relu(x) + x[0]).reshape(-1), X)
    with pytest.raises(ValueError, match="uniform"):
        traced(lambda self, x: x + mge.random.uniform(size=(2, 3)), X)


def test_values_of_the_users_types():
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

    with pytest.raises(ValueError, match="register_supported_type"):
        traced(lambda self, x: Pair(x, x + 1), X)
    tm.register_supported_type(Pair, lambda p: ([p.a, p.b], None), lambda parts, _: Pair(*parts))
    _, t = traced(lambda self, x: Pair(x, x + 1), X)
    assert t(X).b.numpy()[0, 0] == 0


def test_one_module_at_a_time():
    def forward(self, x):
        return tm.trace_module(M.ReLU(), x)(x)

    with pytest.raises(ValueError, match="one at a time"):
        traced(forward, X)


def test_other_threads_are_not_recorded():
    seen = []

    def forward(self, x):
        thread = threading.Thread(target=lambda: seen.append(active_module_tracer().recording or F.relu(X) * 2))
        thread.start()
        thread.join()
        return x + 1

    _, t = traced(forward, X)
    assert kinds(t) == ["CallMethod"] and seen[0].shape == (2, 3)


def test_a_traced_module_is_quantized(tmp_path):
    class Net(M.Module):
        def __init__(self):
            super().__init__()
            self.quant, self.dequant = M.QuantStub(), M.DequantStub()
            self.conv, self.fc = M.ConvBnRelu2d(3, 4, 3), M.Linear(4, 2)

        def forward(self, x):
            return self.dequant(self.fc(F.reshape(self.conv(self.quant(x)), (-1, 4))))

    x = mge.Tensor(np.random.RandomState(0).rand(2, 3, 4, 4).astype("float32"))
    t = tm.trace_module(Net(), x)
    Q.quantize_qat(t, Q.ema_fakequant_qconfig)
    t.train()
    t(x)
    t.eval()
    wanted = t(x).numpy()
    Q.quantize(t)
    t.eval()
    np.testing.assert_allclose(t(x).numpy(), wanted, atol=2 * t.fc.output_dtype.metadata["mgb_dtype"]["scale"])
    predict = trace(t, symbolic=True, capture_as_const=True)
    predict(x)
    predict.dump(str(tmp_path / "int8.mge"))
    (out,) = GraphInference(str(tmp_path / "int8.mge")).run(x.numpy()).values()
    np.testing.assert_array_equal(out, t(x).numpy())
