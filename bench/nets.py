"""Networks, written once against a small interface, so that every implementation runs the same graph and weights.

A backend has conv(x, w, b, s, p, g), bn(x, gamma, beta, mean, var), relu, relu6, maxpool(x, k, s, p), gap (to N, C),
fc(x, w, b), add, concat and split2 (of channels), shuffle2 (of channels in 2 groups), flatten, param(name, shape).
"""

import numpy as np


class _Shapes:
    """A backend without data: learns a network's parameters."""

    def __init__(self):
        self.shapes = {}

    def param(self, name, shape):
        self.shapes[name] = shape

    def split2(self, x):
        return None, None

    def __getattr__(self, name):
        return lambda *a: None


def _conv_bn(B, x, name, i, o, k, s=1, g=1, act="relu"):
    x = B.conv(x, B.param(name + ".w", (o, i // g, k, k)), None, s, k // 2, g)
    x = B.bn(x, *[B.param(name + "." + t, (o,)) for t in ("gamma", "beta", "mean", "var")])
    return getattr(B, act)(x) if act else x


def _classifier(B, x, c):
    return B.fc(B.gap(x), B.param("fc.w", (1000, c)), B.param("fc.b", (1000,)))


def _resnet(B, x, bottleneck, repeats):
    x = B.maxpool(_conv_bn(B, x, "stem", 3, 64, 7, 2), 3, 2, 1)
    c = 64
    for stage, n in enumerate(repeats):
        mid = 64 << stage
        out = mid * (4 if bottleneck else 1)
        for i in range(n):
            name, s = "s%d.%d" % (stage, i), 2 if (stage and not i) else 1
            if bottleneck:
                y = _conv_bn(B, x, name + ".a", c, mid, 1)
                y = _conv_bn(B, y, name + ".b", mid, mid, 3, s)
                y = _conv_bn(B, y, name + ".c", mid, out, 1, act=None)
            else:
                y = _conv_bn(B, x, name + ".a", c, mid, 3, s)
                y = _conv_bn(B, y, name + ".b", mid, mid, 3, act=None)
            if s != 1 or c != out:
                x = _conv_bn(B, x, name + ".d", c, out, 1, s, act=None)
            x = B.relu(B.add(x, y))
            c = out
    return _classifier(B, x, c)


def _mobilenet_v2(B, x):
    x = _conv_bn(B, x, "stem", 3, 32, 3, 2, act="relu6")
    c, block = 32, 0
    for t, o, n, first in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                           (6, 320, 1, 1)]:  # fmt: skip
        for i in range(n):
            name, s, h = "b%d" % block, first if i == 0 else 1, c * t
            y = x if t == 1 else _conv_bn(B, x, name + ".e", c, h, 1, act="relu6")
            y = _conv_bn(B, y, name + ".d", h, h, 3, s, h, act="relu6")
            y = _conv_bn(B, y, name + ".p", h, o, 1, act=None)
            x = B.add(x, y) if s == 1 and c == o else y
            c, block = o, block + 1
    return _classifier(B, _conv_bn(B, x, "head", c, 1280, 1, act="relu6"), 1280)


def _shufflenet_v2(B, x):
    x = B.maxpool(_conv_bn(B, x, "stem", 3, 24, 3, 2), 3, 2, 1)
    c = 24
    for stage, (o, n) in enumerate([(116, 4), (232, 8), (464, 4)]):
        h = o // 2
        for i in range(n):
            name = "s%d.%d" % (stage, i)
            if i == 0:
                left = _conv_bn(B, x, name + ".l1", c, c, 3, 2, c, act=None)
                left = _conv_bn(B, left, name + ".l2", c, h, 1)
                right, rc, s = x, c, 2
            else:
                (left, right), rc, s = B.split2(x), h, 1
            right = _conv_bn(B, right, name + ".r1", rc, h, 1)
            right = _conv_bn(B, right, name + ".r2", h, h, 3, s, h, act=None)
            right = _conv_bn(B, right, name + ".r3", h, h, 1)
            x = B.shuffle2(B.concat([left, right]))
            c = o
    return _classifier(B, _conv_bn(B, x, "head", c, 1024, 1), 1024)


def _lenet(B, x):
    P = B.param
    x = B.maxpool(B.relu(B.conv(x, P("c1.w", (6, 1, 5, 5)), P("c1.b", (6,)), 1, 2, 1)), 2, 2, 0)
    x = B.maxpool(B.relu(B.conv(x, P("c2.w", (16, 6, 5, 5)), P("c2.b", (16,)), 1, 0, 1)), 2, 2, 0)
    x = B.flatten(x)
    x = B.relu(B.fc(x, P("f1.w", (120, 400)), P("f1.b", (120,))))
    x = B.relu(B.fc(x, P("f2.w", (84, 120)), P("f2.b", (84,))))
    return B.fc(x, P("f3.w", (10, 84)), P("f3.b", (10,)))


NETS = {
    "resnet18": lambda B, x: _resnet(B, x, False, (2, 2, 2, 2)),
    "resnet50": lambda B, x: _resnet(B, x, True, (3, 4, 6, 3)),
    "mobilenet_v2": _mobilenet_v2,
    "shufflenet_v2_x1_0": _shufflenet_v2,
    "lenet": _lenet,
}


def params(name):
    backend = _Shapes()
    NETS[name](backend, None)
    rs = np.random.RandomState(0)
    made = {}
    for key, shape in backend.shapes.items():
        kind = key.rsplit(".", 1)[1]
        if kind == "w":
            value = rs.standard_normal(shape) * np.sqrt(2.0 / int(np.prod(shape[1:])))
        elif kind == "gamma":
            value = 0.5 + 0.2 * rs.random_sample(shape)
        elif kind == "var":
            value = 0.5 + rs.random_sample(shape)
        else:
            value = 0.1 * rs.standard_normal(shape)
        made[key] = value.astype(np.float32)
    return made


def input_for(name, n):
    shape = (n, 1, 28, 28) if name == "lenet" else (n, 3, 224, 224)
    return np.random.RandomState(1).standard_normal(shape).astype(np.float32)
