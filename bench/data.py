"""The same numbers for every implementation, from the case alone."""

import numpy as np


def normal(rs, *shape, scale=1.0):
    return (rs.standard_normal(shape) * scale).astype(np.float32)


def rnn(c):
    """x (T, N, I); per layer and direction w_ih, w_hh, b_ih, b_hh, with gates in order i, f, g, o or r, z, n."""
    rs = np.random.RandomState(0)
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[c["kind"]]
    h, directions = c["H"], 2 if c["bi"] else 1
    x = normal(rs, c["T"], c["N"], c["I"])
    bound = 1.0 / np.sqrt(h)
    weights = []
    for layer in range(c["L"]):
        for _ in range(directions):
            i = c["I"] if layer == 0 else directions * h
            shapes = ((gates * h, i), (gates * h, h), (gates * h,), (gates * h,))
            weights.append([rs.uniform(-bound, bound, s).astype(np.float32) for s in shapes])
    return x, weights


def local(c):
    """x NCHW; w (groups, rows, columns, IC / groups, k, k, OC / groups), MegEngine's layout."""
    rs = np.random.RandomState(0)
    icg, ocg, k = c["ic"] // c["g"], c["oc"] // c["g"], c["k"]
    rows, columns = (c["oh"], c["ow"]) if c["group"] == "local" else (c["sgh"], c["sgw"])
    x = normal(rs, c["n"], c["ic"], c["h"], c["w"])
    w = rs.random_sample((c["g"], rows, columns, icg, k, k, ocg)).astype(np.float32)
    w -= 0.5
    w *= np.float32(2.0 / np.sqrt(icg * k * k))
    return x, w


def matmul(c):
    rs = np.random.RandomState(0)
    return normal(rs, c["m"], c["k"]), normal(rs, c["k"], c["n"])


def conv(c):
    rs = np.random.RandomState(0)
    return normal(rs, c["n"], c["ic"], c["h"], c["h"]), normal(
        rs, c["oc"], c["ic"] // c["g"], c["k"], c["k"], scale=0.1
    )


def train_batch(c):
    """Images and labels."""
    rs = np.random.RandomState(0)
    shape, classes = ((1, 28, 28), 10) if c["model"] == "lenet" else ((3, 224, 224), 1000)
    return normal(rs, c["n"], *shape), rs.randint(0, classes, c["n"]).astype(np.int32)


def mlp_weights():
    rs = np.random.RandomState(0)
    return [(normal(rs, o, i, scale=0.2), normal(rs, o, scale=0.1)) for i, o in ((16, 32), (32, 10))]


def mlp_batch():
    rs = np.random.RandomState(1)
    return normal(rs, 4, 16), np.array([1, 2, 3, 4], np.int32)
