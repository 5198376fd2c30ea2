"""What traced modules print and compute under MegEngine or Megalith, for test_traced_module.py.

    python python/tests/recorded/traced_module_cases.py megengine python/tests/recorded

With MegEngine 1.13.0 (Python 3.8) it wrote traced_module.json, with the results of the calls below, and traced_module.pkl,
a traced module as MegEngine saves it. Both packages run the same calls on the same numbers.
"""

import copy
import importlib
import io
import json
import sys

import numpy as np


class Results:
    """The calls; ``out`` holds their results by name."""

    def __init__(self, package):
        def at(name):
            return importlib.import_module(f"{package}.{name}")

        self.package = package
        self.mge = importlib.import_module(package)
        self.F, self.M, self.Q, self.tm = at("functional"), at("module"), at("quantization"), at("traced_module")
        self.node, self.expr, self.core2 = (
            at("traced_module.node"),
            at("traced_module.expr"),
            at("core._imperative_rt.core2"),
        )
        self.builtin = at("core.ops.builtin")
        self.out = {}
        self.rng = np.random.RandomState(0)

    def tensor(self, *shape):
        return self.mge.Tensor(self.rng.rand(*shape).astype("float32"))

    def fill(self, net):
        """The same parameters everywhere."""
        for _, p in sorted(net.named_parameters()):
            p[...] = self.mge.Tensor(self.rng.uniform(-0.5, 0.5, p.shape).astype("float32"))
        net.eval()
        return net

    def keep(self, name, value):
        self.out[name] = self.plain(value)

    def plain(self, value):
        """A result as JSON: tensors by shape and values, others as text without the package's name."""
        if isinstance(value, self.mge.Tensor):
            a = value.numpy()
            return {"shape": list(a.shape), "values": [float("%.5g" % v) for v in a.ravel()[:16]]}
        if isinstance(value, (list, tuple)):
            return [self.plain(v) for v in value]
        if isinstance(value, dict):
            return {str(k): self.plain(v) for k, v in value.items()}
        if isinstance(value, (int, float, bool, type(None))):
            return value
        return str(value).replace(self.package, "PACKAGE")

    def error(self, name, call):
        try:
            call()
        except Exception as e:
            self.out[name] = [
                cls.__name__ for cls in type(e).__mro__ if cls.__name__ in ("AssertionError", "TypeError")
            ]
        else:
            self.out[name] = []

    def blocks(self):
        """Nested modules in attributes, lists, dicts and Sequential; nested results; most kinds of expressions."""
        F, M, mge = self.F, self.M, self.mge

        class Block(M.Module):
            def __init__(self, c):
                super().__init__()
                self.conv1, self.bn1, self.act = M.Conv2d(c, c, 3, padding=1), M.BatchNorm2d(c), M.ReLU()

            def forward(self, x, scale=2.0):
                y = self.act(self.bn1(self.conv1(x)))
                return y * scale, {"sum": y + x, "list": [y, y]}

        class Net(M.Module):
            def __init__(self):
                super().__init__()
                self.block, self.blocks = Block(3), [Block(3)]
                self.seq = M.Sequential(M.Conv2d(3, 3, 1), M.ReLU())
                self.d = {"a": M.Linear(4, 5), "b": M.Linear(4, 5)}
                self.p = mge.Parameter(np.ones((1, 3, 1, 1), "float32"))

            def forward(self, x):
                x = x + self.p
                a, d = self.block(x)
                for m in self.blocks:
                    b, _ = m(a, 3)
                w = F.concat([self.seq(b), d["sum"]], axis=1)
                w += 1
                w[:, 0] = 0
                t = w[:, 1:].reshape(-1, 4)
                o = self.d["a"](t)
                h = F.flatten(o, 0)
                k = F.sum(h) / h.shape[0]
                m, v = F.split(t, 2, axis=1)
                return k, (t + mge.Tensor([1, 2, 3, 4], dtype="float32"), m.T, -v, v.astype("int32"))

        return self.fill(Net())

    def trace_blocks(self):
        net, x = self.blocks(), self.tensor(2, 3, 4, 4)
        traced = self.tm.trace_module(net, x)
        for spec in ("", "i", "p", "ip"):
            self.keep(f"blocks/graph {spec}", format(traced.graph, spec))
        self.keep("blocks/block", traced.block.graph)
        self.keep("blocks/repr", traced)
        self.keep("blocks/result", traced(x))
        self.keep("blocks/exprs", [(type(e).__name__, e._id, str(e)) for e in traced.graph.exprs()])
        self.keep("blocks/nodes", [(type(n).__name__, n._id, n.name, n.qualname) for n in traced.graph.nodes()])
        self.keep("blocks/shared", [traced.p is net.p, traced.block.conv1 is net.block.conv1])
        flat = traced.flatten()
        self.keep("blocks/flat", flat.graph)
        self.keep("blocks/flat ids", format(flat.graph, "i"))
        self.keep("blocks/flat result", flat(x))
        self.keep("blocks/state", sorted(flat.state_dict()))

    def forwards(self):
        """Forward functions of one net, and what they become."""
        F, M, mge, builtin = self.F, self.M, self.mge, self.builtin
        apply = self.core2.apply

        def tensor_of_tensors(self, x):
            return mge.Tensor([1, x.sum(), 1]) + x

        def changed_copy(self, x):
            y = mge.Tensor(x)
            y += 1
            return y

        def shapes(self, x):
            a, b = x.shape
            return x.reshape(b, a) * x.ndim, x.reshape(x.shape[1], -1), F.zeros(x.shape), F.ones((2, 3))

        def methods(self, x):
            return (
                x.mean(), x.max(axis=1, keepdims=True), x.T, x[0], x[:, 1:], x[x > 0.5], x < 1, x == x, ~(x > 0),
                x.flatten(), x @ x.T, x**2, 2 / x, -x, abs(x), x.astype("float16"), len(x) + x, x.size, x.detach(),
            )  # fmt: skip

        def functions(self, x):
            return (
                F.add(y=x, x=2), F.linear(x, self.fc.weight), F.clip(x, 0.5), F.argmax(x), F.topk(x, 2), F.softmax(x),
                F.loss.cross_entropy(x, mge.Tensor([1, 2], dtype="int32")), F.one_hot(x.astype("int32"), 4),
                F.where(x > 0, x, x), F.logsigmoid(x), F.linspace(0, 1, 3), F.square(x),
                F.vision.interpolate(F.reshape(x, (1, 1, 2, 3)), scale_factor=2.0),
            )  # fmt: skip

        def attributes(self, x):
            return self.fc(x) + self.fc(x), self.fc.weight.reshape(-1), self.fc.in_features * x, self.stored(x, 1)

        def ops(self, x):
            return apply(builtin.Elemwise(mode="relu"), x)[0]

        def loop(self, x):
            for m in self.layers:
                x = m(x)
            return x

        def items(self, x):
            x[0] = 1
            x[:, 0] = x[:, 1]
            z = mge.Tensor(np.zeros((2, 3), "float32"))
            z[0] = x[0]
            return z, x

        def parameters(self, x):
            return x + self.p, self.p + x, self.p * 2

        def not_a_tensor(self, x):
            return x, x.numpy()

        def nothing(self, x):
            return None

        def one_int(self, x):
            return x, 3

        for forward in (tensor_of_tensors, changed_copy, shapes, methods, functions, attributes, ops, loop, items, parameters,
                        not_a_tensor, nothing, one_int):  # fmt: skip

            class Net(M.Module):
                def __init__(self):
                    super().__init__()
                    self.fc, self.layers = M.Linear(3, 3), [M.Linear(3, 3), M.ReLU()]
                    self.p = mge.Parameter([1.0, 2.0, 3.0])
                    self.stored = F.add

            Net.forward = forward
            Net.__abstractmethods__ = frozenset()
            net, x = self.fill(Net()), self.tensor(2, 3)
            name = f"forward/{forward.__name__}"
            try:
                traced = self.tm.trace_module(net, x)
            except AssertionError:
                self.keep(name, "AssertionError")
                continue
            self.keep(name, traced.graph)
            self.keep(name + " result", traced(self.tensor(2, 3)))

    def small(self):
        """A module with one of its own inside, to edit."""
        F, M, mge = self.F, self.M, self.mge

        class Inner(M.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.bn = M.Conv2d(3, 3, 1), M.BatchNorm2d(3)

            def forward(self, x, k=2):
                return F.relu(self.bn(self.conv(x))) + k

        class Net(M.Module):
            def __init__(self):
                super().__init__()
                self.a, self.n, self.p = Inner(), 7, mge.Parameter([1.5])

            def forward(self, x, y):
                y = self.a(x) + y
                u = F.relu(y)
                return F.relu(u) * self.p + self.n, {"u": u}

        return self.fill(Net())

    def traced_small(self):
        return self.tm.trace_module(self.net, self.x, y=self.y)

    def edits(self):
        F, M = self.F, self.M
        self.net, self.x, self.y = self.small(), self.tensor(1, 3, 2, 2), self.mge.Tensor(2.0)
        x, y = self.x, self.y
        t = self.traced_small()
        g = t.graph
        self.keep("small/graph", g)
        for name, found in {
            "function": g.get_function_by_type(F.relu),
            "function here": g.get_function_by_type(F.relu, recursive=False),
            "functions": g.get_function_by_type(),
            "method": g.get_method_by_type("__add__"),
            "methods": g.get_method_by_type(),
            "expr": g.get_expr_by_id([3, 5]),
            "one expr": g.get_expr_by_id(3),
            "node": g.get_node_by_id([3, 5]),
            "name": g.get_node_by_name("net_a*"),
            "name in the middle": g.get_node_by_name("*add*"),
            "name, case": g.get_node_by_name("net_A.*", ignorecase=False),
            "module": g.get_module_by_type(M.Conv2d),
            "modules": g.get_module_by_type(M.Module),
            "chain": g.exprs().call_function(F.relu).expr_id([11, 14]),
            "exprs here": g.exprs(recursive=False),
        }.items():
            found = found.as_list()
            self.keep(f"small/find {name}", found)
        self.keep("small/count", g.get_function_by_type(F.relu).as_count())
        self.keep("small/dict", list(g.get_function_by_type(F.relu, recursive=False).as_dict()))
        self.error("small/unique", lambda: g.get_function_by_type(F.relu).as_unique())
        self.keep("small/deps", g.get_dep_exprs([g.outputs[0]]))
        for e in g.exprs(recursive=False):
            if type(e).__name__.startswith("Call"):
                self.keep(f"small/expr {e._id}", [e.inputs, e.outputs, e.const_val, e.args, e.kwargs, e.return_val])
                self.keep(f"small/defs {e._id}", [e.arg_def, e.out_def])
        self.keep("small/named", [e.named_args for e in g.get_method_by_type("__add__", recursive=False)])
        n = g.outputs[0]
        self.keep(
            "small/node", [list(n.shape), n.dtype, n.qparams, n.value, n.expr, n.users, n.name, n.qualname, n._id]
        )
        self.keep(
            "small/graphs",
            [g.name, g.qualname, g.top_graph, t.a.graph.name, t.a.graph.top_graph is g, n.top_graph is g],
        )

        relu = g.get_function_by_type(F.relu, recursive=False).as_list()
        with g.insert_exprs():
            new = F.sigmoid(relu[0].outputs[0])
            new = new * 2 + relu[0].outputs[0]
        self.keep("insert/node", [list(new.shape), new.dtype])
        self.keep("insert/graph", g)
        g.replace_node({relu[1].inputs[0]: new})
        self.keep("insert/replaced", g)
        g.compile()
        self.keep("insert/result", t(x, y))
        g.replace_node({relu[1].outputs[0]: relu[1].inputs[0]})
        g.compile()
        self.keep("insert/dropped", g)

        t = self.traced_small()
        g = t.graph
        relu = g.get_function_by_type(F.relu, recursive=False).as_list()
        with g.insert_exprs(relu[1]):
            k = relu[1].outputs[0].reshape(2, -1)
            k[:, 0:1]
            k.shape
        self.keep("insert/methods", g)
        other = self.traced_small()
        self.error("insert/elsewhere", lambda: g.insert_exprs(other.graph._exprs[0]).__enter__())

        t = self.traced_small()
        g = t.graph
        t.conv2 = self.fill(M.Conv2d(3, 3, 1))
        me = g.inputs[0]
        with g.insert_exprs():
            out = me.conv2(g.outputs[0])
        g.replace_node({g.outputs[0]: out})
        g.compile()
        self.keep("insert/module", g)
        self.keep("insert/module result", g.eval(x, y))

        t = self.traced_small()
        g = t.graph
        data = g.add_input_node(shape=(1, 3, 1, 1), dtype="float32", name="data")
        with g.insert_exprs():
            out = g.outputs[0] + data
        g.add_output_node(out)
        g.compile()
        self.keep("io/names", [g.inputs, g.outputs, data.shape == (1, 3, 1, 1)])
        self.error("io/without", lambda: t(x, y))
        self.keep("io/result", t(x, y, self.tensor(1, 3, 1, 1)))
        g.add_output_node(g.outputs[1])
        self.keep("io/defs", list(t.argdef_outdef_map.values()))
        t = self.traced_small()
        g = t.graph
        self.keep("io/reset", g.reset_inputs(x, x, z=x))
        t = self.traced_small()
        t.graph.reset_outputs([t.graph.outputs[1], {"o": t.graph.outputs[0]}])
        self.keep("io/reset outputs", t(x, y))

        t = self.traced_small()
        relu = t.graph.get_function_by_type(F.relu).as_list()
        t.set_watch_points([relu[0].outputs[0], relu[1].outputs[0]])
        t(x, y)
        self.keep("points/watch", {k.name: v for k, v in t.watch_node_value.items()})
        t.clear_watch_points()
        self.keep("points/cleared", [list(t.watch_node_value), t.watch_points])
        t.set_end_points([relu[1].outputs[0]])
        self.keep("points/end", t(x, y))
        t.clear_end_points()
        self.keep("points/no end", t(x, y))
        self.error("points/inner end", lambda: t.set_end_points([relu[0].outputs[0]]))

        t = self.traced_small()
        g = t.graph
        last, first = (
            g.exprs(recursive=False).as_list()[-1],
            g.get_function_by_type(F.relu, recursive=False).as_list()[0],
        )
        last.set_arg("value", 9)
        self.keep("args/set", last)
        self.error("args/unknown", lambda: last.set_arg("nope", 9))
        last.set_args_kwargs(g.outputs[1], 3.5)
        self.keep("args/all", [last, last.inputs, last.const_val])
        first.set_args_kwargs(x=g.inputs[1])
        self.keep("args/by name", first)
        self.keep("args/result", t(x, y))

        t = self.traced_small()
        c = copy.deepcopy(t)
        self.keep(
            "copy/deep", [c.graph is t.graph, c.p is t.p, c.a.graph.top_graph is c.graph, str(c.graph) == str(t.graph)]
        )
        f = t.flatten()
        self.keep("copy/flat", [f.p is t.p, f.graph, f])
        file = io.BytesIO()
        self.mge.save(t, file)
        file.seek(0)
        loaded = self.mge.load(file)
        self.keep("copy/saved", [loaded.graph, loaded.a.graph, loaded(x, y)])
        self.keep("calls/names", t(x=x, y=y))
        for name, call in {
            "missing": lambda: t(x),
            "constant": lambda: t(x, 3),
            "wrong name": lambda: t(x, z=y),
            "no module": lambda: self.tm.trace_module(3, x),
            "no arguments": lambda: self.tm.trace_module(self.net),
        }.items():
            self.error(f"calls/{name}", call)

    def registered(self):
        M = self.M

        class Scaled(M.Module):
            def forward(self, x, k=3):
                return x * k

        self.tm.register_as_builtin(Scaled)

        class Net(M.Module):
            def __init__(self):
                super().__init__()
                self.b = Scaled()

            def forward(self, x):
                return self.b(x), self.b(x, k=4), scaled(x), scaled(x, b=4)

        x = self.tensor(2, 3)
        traced = self.tm.trace_module(Net(), x)
        self.keep("registered/graph", str(traced.graph).replace(__name__, "HERE"))
        self.keep("registered/result", traced(x))

    def quantized(self):
        M, F, Q = self.M, self.F, self.Q

        class Net(M.Module):
            def __init__(self):
                super().__init__()
                self.quant, self.dequant = M.QuantStub(), M.DequantStub()
                self.c, self.l = M.ConvBnRelu2d(3, 4, 3), M.Linear(4, 2)

            def forward(self, x):
                return self.dequant(self.l(F.reshape(self.c(self.quant(x)), (-1, 4))))

        x, net = self.tensor(2, 3, 4, 4), self.fill(Net())
        Q.quantize_qat(net, Q.ema_fakequant_qconfig)
        net(x)
        net.eval()
        traced = self.tm.trace_module(net, x)
        self.keep("qat/graph", traced.graph)
        self.keep("qat/repr", traced)
        tensors = [n for n in traced.graph.nodes() if isinstance(n, self.node.TensorNode)]
        self.keep(
            "qat/qparams",
            [None if n.qparams is None else [n.qparams.dtype_meta.name, n.qparams.scale] for n in tensors],
        )
        self.keep("qat/result", traced(x))
        net = Q.quantize(net, inplace=False)
        net.eval()
        traced = self.tm.trace_module(net, x)
        self.keep("quantized/graph", traced.graph)
        self.keep(
            "quantized/dtypes", [str(n.dtype) for n in traced.graph.nodes() if isinstance(n, self.node.TensorNode)]
        )
        self.keep("quantized/result", traced(x))

    def optimized(self):
        M, F = self.M, self.F

        class Inner(M.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.bn = M.Conv2d(3, 4, 3, bias=False), M.BatchNorm2d(4)

            def forward(self, x):
                return F.relu(self.bn(self.conv(x)))

        class Net(M.Module):
            def __init__(self):
                super().__init__()
                self.s, self.c2, self.b2 = Inner(), M.Conv2d(4, 4, 1), M.BatchNorm2d(4)

            def forward(self, x):
                return self.b2(self.c2(self.s(x)))

        x, net = self.tensor(1, 3, 5, 5), self.fill(Net())
        for name, traced in {
            "nested": self.tm.trace_module(net, x),
            "flat": self.tm.trace_module(net, x).flatten(),
        }.items():
            new = self.tm.optimize(traced)
            lines = [line.split("\t")[-1] for g in (new.graph, new.s.graph) for line in str(g).splitlines()]
            self.keep(f"optimized/{name}", lines)  # without ids
            self.keep(f"optimized/{name} repr", new)
            self.keep(f"optimized/{name} result", new(x))

    def all(self):
        self.trace_blocks()
        self.forwards()
        self.edits()
        self.registered()
        self.quantized()
        self.optimized()
        return self.out


def scaled(a, b=3):
    """A function that is kept whole."""
    return a * b + 1


def saved(results):
    """A traced module with what it gives, to pickle."""
    net, x = results.blocks(), results.tensor(2, 3, 4, 4)
    traced = results.tm.trace_module(net, x)
    return {"module": traced, "flat": traced.flatten(), "input": x.numpy(), "output": traced(x)[0].numpy()}


if __name__ == "__main__":
    results = Results(sys.argv[1])
    results.tm.wrap(scaled)
    with open(f"{sys.argv[2]}/traced_module.json", "w") as f:
        json.dump(results.all(), f, indent=1)
        f.write("\n")
    with open(f"{sys.argv[2]}/traced_module.pkl", "wb") as f:
        results.mge.save(saved(results), f)
