"""ONNX graphs of the cases, for ONNX Runtime and OpenVINO."""

import data
import nets
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from worker import Unsupported


class _Backend:
    """Builds nodes. Values are (name, shape); shapes are for channel shuffles."""

    def __init__(self, parameters):
        self.parameters, self.constants, self.nodes = parameters, {}, []

    def op(self, kind, inputs, outputs=1, **attributes):
        names = ["v%d_%d" % (len(self.nodes), i) for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, name, value):
        self.constants[name] = np.ascontiguousarray(value)
        return name

    def param(self, name, shape):
        return self.constant(name, self.parameters[name])

    def _window(self, x, k, s, p, channels):
        n, _, h, w = x[1]
        return n, channels, (h + 2 * p - k) // s + 1, (w + 2 * p - k) // s + 1

    def conv(self, x, w, b, s, p, g):
        o, _, k, _ = self.constants[w].shape
        name = self.op(
            "Conv", [x[0], w] + ([b] if b else []), strides=[s, s], pads=[p] * 4, group=g, kernel_shape=[k, k]
        )
        return name, self._window(x, k, s, p, o)

    def bn(self, x, g, b, m, v):
        return self.op("BatchNormalization", [x[0], g, b, m, v], epsilon=1e-5), x[1]

    def relu(self, x):
        return self.op("Relu", [x[0]]), x[1]

    def relu6(self, x):
        limits = [self.constant("zero", np.float32(0)), self.constant("six", np.float32(6))]
        return self.op("Clip", [x[0], *limits]), x[1]

    def maxpool(self, x, k, s, p):
        name = self.op("MaxPool", [x[0]], kernel_shape=[k, k], strides=[s, s], pads=[p] * 4)
        return name, self._window(x, k, s, p, x[1][1])

    def gap(self, x):
        return self.op("Flatten", [self.op("GlobalAveragePool", [x[0]])], axis=1), None

    def flatten(self, x):
        return self.op("Flatten", [x[0]], axis=1), None

    def fc(self, x, w, b):
        return self.op("Gemm", [x[0], w, b], transB=1), None

    def add(self, x, y):
        return self.op("Add", [x[0], y[0]]), x[1]

    def concat(self, xs):
        n, _, h, w = xs[0][1]
        return self.op("Concat", [x[0] for x in xs], axis=1), (n, sum(x[1][1] for x in xs), h, w)

    def split2(self, x):
        n, c, h, w = x[1]
        return [(name, (n, c // 2, h, w)) for name in self.op("Split", [x[0]], 2, axis=1)]

    def reshape(self, name, shape):
        return self.op(
            "Reshape", [name, self.constant("shape_%s" % "_".join(map(str, shape)), np.array(shape, "int64"))]
        )

    def shuffle2(self, x):
        n, c, h, w = x[1]
        split = self.reshape(x[0], (n, 2, c // 2, h, w))
        return self.reshape(self.op("Transpose", [split], perm=[0, 2, 1, 3, 4]), x[1]), x[1]

    def model(self, name, x, out, rank):
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape)],
            [helper.make_tensor_value_info(out, TensorProto.FLOAT, (None,) * rank)],
            [numpy_helper.from_array(v, k) for k, v in self.constants.items()],
        )
        opset = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString(), {name: x}


def _model(c):
    x = nets.input_for(c["model"], c["n"])
    B = _Backend(nets.params(c["model"]))
    return B.model("x", x, nets.NETS[c["model"]](B, ("x", x.shape))[0], 2)


def _conv(c):
    x, w = data.conv(c)
    B = _Backend({})
    return B.model("x", x, B.conv(("x", x.shape), B.constant("w", w), None, c["s"], c["p"], c["g"])[0], 4)


def _matmul(c):
    a, b = data.matmul(c)
    B = _Backend({})
    return B.model("x", a, B.op("MatMul", ["x", B.constant("b", b)]), 2)


def _rnn(c):
    x, weights = data.rnn(c)
    h, directions = c["H"], 2 if c["bi"] else 1
    # i, f, g, o to i, o, f, g; r, z, n to z, r, n
    order = {"lstm": [0, 3, 1, 2], "gru": [1, 0, 2], "rnn": [0]}[c["kind"]]

    def reordered(w):
        return np.concatenate([w.reshape(len(order), h, -1)[i] for i in order]).reshape(w.shape)

    attributes = dict(hidden_size=h, direction="bidirectional" if c["bi"] else "forward")
    if c["kind"] == "gru":
        attributes["linear_before_reset"] = 1
    B = _Backend({})
    out = "x"
    for layer in range(c["L"]):
        each = [[reordered(a) for a in ws] for ws in weights[layer * directions : (layer + 1) * directions]]
        inputs = [out]
        for name, arrays in (
            ("W", [ws[0] for ws in each]),
            ("R", [ws[1] for ws in each]),
            ("B", [np.concatenate(ws[2:]) for ws in each]),
        ):
            inputs.append(B.constant("%s%d" % (name, layer), np.stack(arrays)))
        out = B.op(c["kind"].upper(), inputs, **attributes)  # T, directions, N, H
        shape = (c["N"], h) if c["cell"] else (c["T"], c["N"], directions * h)
        out = B.reshape(B.op("Transpose", [out], perm=[0, 2, 1, 3]), shape)
    return B.model("x", x, out, len(shape))


def make(c):
    of_group = {"model": _model, "conv": _conv, "matmul": _matmul, "rnn": _rnn}.get(c["group"])
    if of_group is None or c.get("mode") == "train":
        raise Unsupported
    return of_group(c)
