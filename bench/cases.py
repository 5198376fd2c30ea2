"""The cases of every group: plain data, with the work that each needs.

flops counts 2 for a multiply-add; bytes is the traffic that no implementation can do without. stream_bytes is what has
to be read again and again from a cache that holds stream_set bytes: the recurrent weights, at every step.
"""

import re


def _case(group, name, **fields):
    return dict(fields, group=group, name=name)


def rnn():
    sizes = [(1, 1, 128, 128, 1, False), (64, 1, 256, 256, 1, False), (64, 32, 256, 256, 1, False),
             (128, 32, 512, 512, 1, False), (50, 64, 1024, 1024, 1, False), (100, 16, 512, 512, 2, True)]  # fmt: skip
    cases = []
    for mode in ("infer", "train"):
        passes = 3 if mode == "train" else 1
        for kind, gates in (("lstm", 4), ("gru", 3), ("rnn", 1)):
            for steps, n, i, h, layers, both in sizes:
                cell, directions = steps == 1, 2 if both else 1
                inputs = [i] + [directions * h] * (layers - 1)
                weights = directions * gates * h * sum(k + h for k in inputs)
                recurrent = 4.0 * gates * h * h
                name = "%s%s_%s_T%d_N%d_I%d_H%d" % (kind, "cell" if cell else "", mode, steps, n, i, h)
                name += ("_L%d" % layers if layers > 1 else "") + ("_bi" if both else "")
                cases.append(
                    _case("rnn", name, kind=kind, mode=mode, T=steps, N=n, I=i, H=h, L=layers, bi=both, cell=cell,
                          flops=2.0 * steps * n * weights * passes,
                          bytes=4.0 * (weights + steps * n * (i + directions * h)) * passes,
                          stream_bytes=recurrent * steps * directions * layers * min(passes, 2), stream_set=recurrent)
                )  # fmt: skip
    return cases


def _taps(size, k, s, p):
    """Products along one dimension: what falls into the padding does no work."""
    out = (size + 2 * p - k) // s + 1
    return sum(0 <= o * s + f - p < size for o in range(out) for f in range(k))


def _local(group, ic, oc, h, w, k, s, p, g, shared=0):
    cases = []
    oh, ow = (h + 2 * p - k) // s + 1, (w + 2 * p - k) // s + 1
    taps = _taps(h, k, s, p) * _taps(w, k, s, p)
    weights = ic * oc // g * (shared * shared * k * k if shared else taps)
    for n in (1, 8, 32):
        name = "%s_n%d_%dto%d_%dx%d_k%ds%dp%d_g%d" % (group.replace("_", ""), n, ic, oc, h, w, k, s, p, g)
        cases.append(
            _case(group, name + ("_sg%d" % shared if shared else ""), n=n, ic=ic, oc=oc, h=h, w=w, k=k, s=s, p=p, g=g,
                  oh=oh, ow=ow, sgh=shared, sgw=shared, tolerance=1e-5, flops=2.0 * n * oc * (ic // g) * taps,
                  bytes=4.0 * (weights + n * (ic * h * w + oc * oh * ow)))
        )  # fmt: skip
    return cases


def local():
    shapes = [(16, 16, 63, 63, 9, 1, 0, 1), (32, 32, 28, 28, 3, 1, 1, 1), (64, 64, 14, 14, 3, 1, 1, 1),
              (128, 128, 14, 14, 3, 1, 1, 1), (256, 256, 7, 7, 3, 1, 1, 1), (512, 512, 7, 7, 3, 1, 1, 1),
              (128, 128, 14, 14, 3, 2, 1, 1), (128, 128, 14, 14, 3, 1, 1, 8), (256, 256, 14, 14, 3, 1, 1, 256),
              (512, 512, 7, 7, 1, 1, 0, 1)]  # fmt: skip
    return [c for shape in shapes for c in _local("local", *shape)]


def local_share():
    shapes = [(32, 32, 28, 28, 3, 1, 1, 1, 7), (64, 64, 14, 14, 3, 1, 1, 1, 2), (64, 64, 14, 14, 3, 1, 1, 1, 7),
              (128, 128, 28, 28, 3, 1, 1, 1, 4), (128, 128, 14, 14, 3, 1, 1, 8, 2),
              (256, 256, 28, 28, 3, 2, 1, 1, 7)]  # fmt: skip
    return [c for shape in shapes for c in _local("local_share", *shape)]


def matmul():
    sizes = [(n, n, n) for n in (256, 512, 1024, 2048)]
    sizes += [(1, 1024, 1024), (1, 4096, 4096), (32, 512, 2048), (64, 784, 128)]
    return [
        _case("matmul", "sgemm_%dx%dx%d" % (m, k, n), m=m, k=k, n=n, flops=2.0 * m * k * n,
              bytes=4.0 * (m * k + k * n + m * n))
        for m, k, n in sizes
    ]  # fmt: skip


def conv():
    shapes = [("3x3", 64, 64, 56, 3, 1, 1, 1), ("1x1", 256, 1024, 14, 1, 1, 0, 1), ("dw3x3", 32, 32, 112, 3, 1, 1, 32),
              ("7x7", 3, 64, 224, 7, 2, 3, 1), ("3x3", 512, 512, 7, 3, 1, 1, 1), ("1x1", 64, 64, 56, 1, 1, 0, 1),
              ("3x3", 256, 256, 14, 3, 1, 1, 1), ("dw3x3", 96, 96, 112, 3, 2, 1, 96)]  # fmt: skip
    cases = []
    for n in (1, 8):
        for kind, ic, oc, h, k, s, p, g in shapes:
            oh = (h + 2 * p - k) // s + 1
            cases.append(
                _case("conv", "conv%s_n%d_%dto%d_%d_s%d" % (kind, n, ic, oc, h, s), n=n, ic=ic, oc=oc, h=h, k=k, s=s,
                      p=p, g=g, flops=2.0 * oc * (ic // g) * _taps(h, k, s, p) ** 2 * n,
                      bytes=4.0 * (n * ic * h * h + n * oc * oh * oh + oc * ic // g * k * k))
            )  # fmt: skip
    return cases


# Multiply-adds of one image, without Winograd.
MODELS = [("lenet", 0.42e6), ("shufflenet_v2_x1_0", 146e6), ("mobilenet_v2", 301e6), ("resnet18", 1.814e9),
          ("resnet50", 4.09e9)]  # fmt: skip


def model():
    return [
        _case("model", "%s_n%d" % (name, n), model=name, n=n, flops=2 * macs * n, bytes=1.0, tolerance=1e-3)
        for name, macs in MODELS
        for n in (1, 8)
    ]


def train():
    macs = dict(MODELS)
    return [
        _case("train", "%s_step_n%d" % (name, n), model=name, n=n, flops=6 * macs[name] * n, bytes=1.0, tolerance=5e-3)
        for name, n in (("lenet", 64), ("resnet18", 8))
    ]


# Small calls: what they cost beside their work. Names are x: 4 floats, m: 8x8, a: 1.
CALLS = {"add": "a + a", "add_scalar": "x + 1.0", "neg": "-x", "less": "x < x", "index": "x[0]", "slice": "x[1:3]",
         "column": "m[:, 2]", "shape": "x.shape", "sum": "x.sum()", "reshape": "m.reshape(4, 16)",
         "matmul": "F.matmul(m, m)", "exp": "F.exp(x)", "transpose": "transpose(m)"}  # fmt: skip


def dispatch():
    cases = [_case("dispatch", "call_" + k, call=v) for k, v in CALLS.items()]
    return cases + [_case("dispatch", name) for name in ("add_chain100", "mlp_forward", "mlp_step")]


GROUPS = {f.__name__: f for f in (model, conv, matmul, rnn, local, local_share, train, dispatch)}

# Whom a group is compared with, when the command line does not say. The first Megalith is the one that bars are for.
IMPLS = {
    "model": "megalith,pytorch,onnxruntime,openvino,megengine:lite",
    "conv": "megalith,megalith:planned,pytorch,onnxruntime,openvino,megengine:lite",
    "matmul": "megalith,pytorch,numpy,onnxruntime,megengine",
    "rnn": "megalith,pytorch,onnxruntime,megengine",
    "local": "megalith,pytorch,megengine",
    "local_share": "megalith,megalith:reference,pytorch",
    "train": "megalith,pytorch,megengine",
    "dispatch": "megalith,pytorch,megengine",
}


def select(groups, pattern="."):
    """Cases of these groups whose name has the pattern, by group."""
    chosen = {g: [c for c in GROUPS[g]() if re.search(pattern, c["name"])] for g in groups}
    return {g: cs for g, cs in chosen.items() if cs}
