"""Cases of functional.nn, functional.vision, losses, modules and optimizers, for MegEngine and for Megalith.

`python nn_cases.py OUT.npz` with MegEngine 1.13.0 (Python 3.8, MGB_USE_MEGDNN_DBG=2: its naive kernels) records
the results that test_recorded_nn.py compares with.
"""

import sys
import zlib

import numpy as np

CASES = {}


def case(*params):
    """Registers a function (framework, rng, *param) -> list of arrays, once for each param."""

    def register(f):
        for p in params or [()]:
            args = p if isinstance(p, tuple) else (p,)
            name = f.__name__ + ("" if not args else ":" + ",".join(map(str, args)))
            CASES[name] = (f, args)
        return f

    return register


class Framework:
    """The modules of MegEngine or Megalith, and helpers."""

    def __init__(self, package):
        import importlib

        self.mge = importlib.import_module(package)
        for name in ("functional", "module", "optimizer"):
            setattr(self, name[0].upper(), importlib.import_module(package + "." + name))
        self.GradManager = importlib.import_module(package + ".autodiff").GradManager
        self.dtype = importlib.import_module(package + ".core.tensor.dtype")
        self.is_oracle = package == "megengine"

    def t(self, a, **kw):
        return self.mge.Tensor(a, **kw)

    def grads(self, f, *arrays, only=None):
        """Results of f on tensors, and gradients of their weighted sum."""
        tensors = [a if isinstance(a, self.mge.Tensor) else self.t(a) for a in arrays]
        wanted = [t for i, t in enumerate(tensors) if str(t.dtype).startswith("float") and (only is None or i in only)]
        gm = self.GradManager().attach(wanted)
        with gm:
            out = f(*tensors)
            outs = list(out) if isinstance(out, (list, tuple)) else [out]
            loss = 0
            rng = np.random.RandomState(7)
            for o in outs:
                loss = loss + (o * self.t(np.asarray(rng.rand(*o.shape), "float32"))).sum()
            gm.backward(loss)
        return [o.numpy() for o in outs] + [np.zeros(0) if t.grad is None else t.grad.numpy() for t in wanted]


def r(rng, *shape):
    return rng.randn(*shape).astype("float32")


@case((1, 0, 1, 1), (2, 1, 1, 1), (1, 2, 2, 1), ((2, 1), (0, 1), (1, 2), 2))
def conv2d(w, rng, stride, padding, dilation, groups):
    shape = (6, 4, 3, 2) if groups == 1 else (groups, 6 // groups, 4 // groups, 3, 2)
    return w.grads(lambda x, k, b: w.F.conv2d(x, k, b, stride, padding, dilation, groups),
                   r(rng, 2, 4, 7, 6), r(rng, *shape), r(rng, 1, 6, 1, 1))  # fmt: skip


@case((1, 0, 1), (2, 2, 2))
def conv1d(w, rng, stride, padding, dilation):
    return w.grads(
        lambda x, k, b: w.F.conv1d(x, k, b, stride, padding, dilation),
        r(rng, 2, 3, 9),
        r(rng, 4, 3, 3),
        r(rng, 1, 4, 1),
    )


@case((1, 0, 1), (2, 1, 1))
def conv3d(w, rng, stride, padding, dilation):
    return w.grads(
        lambda x, k: w.F.conv3d(x, k, None, stride, padding, dilation), r(rng, 1, 2, 4, 5, 4), r(rng, 3, 2, 2, 2, 3)
    )


@case((1, 0, 0, 1, 1), (2, 1, 0, 1, 2), ((2, 3), (1, 0), (1, 2), (1, 1), 1))
def conv_transpose2d(w, rng, stride, padding, output_padding, dilation, groups):
    shape = (4, 6, 3, 2) if groups == 1 else (groups, 4 // groups, 6 // groups, 3, 2)
    return w.grads(lambda x, k, b: w.F.conv_transpose2d(x, k, b, stride, padding, output_padding, dilation, groups),
                   r(rng, 2, 4, 4, 5), r(rng, *shape), r(rng, 1, 6, 1, 1))  # fmt: skip


@case()
def conv_transpose3d(w, rng):
    return w.grads(lambda x, k: w.F.conv_transpose3d(x, k, None, 2, 1), r(rng, 1, 2, 3, 3, 3), r(rng, 2, 3, 2, 3, 2))


@case()
def local_conv2d(w, rng):
    return w.grads(lambda x, k: w.F.local_conv2d(x, k, None, 2, 1), r(rng, 2, 4, 5, 5), r(rng, 2, 3, 3, 2, 3, 3, 3))


@case()
def deformable_conv2d(w, rng):
    return w.grads(
        lambda x, k, o, m: w.F.deformable_conv2d(x, k, o, m, None, 1, 1),
        r(rng, 1, 2, 5, 5),
        r(rng, 3, 2, 3, 3),
        r(rng, 1, 18, 5, 5) * 0.7,
        rng.rand(1, 9, 5, 5).astype("float32"),
    )


@case()
def region_restricted_conv(w, rng):
    rin, rout = rng.randint(0, 3, (1, 5, 5)).astype("int32"), rng.randint(0, 3, (1, 5, 5)).astype("int32")
    return w.grads(lambda x, k: w.F.nn.region_restricted_conv(x, k, w.t(rin), w.t(rout), None, 1, 1, 1, 2),
                   r(rng, 1, 4, 5, 5), r(rng, 2, 1, 2, 3, 3))  # fmt: skip


@case(
    ("max", 2, None, 0),
    ("max", 3, 2, 1),
    ("average", 3, 2, 1),
    ("average_count_exclude_padding", (2, 3), (2, 1), (1, 1)),
)
def pool2d(w, rng, mode, kernel, stride, padding):
    if mode == "max":
        return w.grads(lambda x: w.F.max_pool2d(x, kernel, stride, padding), r(rng, 2, 3, 7, 6))
    return w.grads(lambda x: w.F.avg_pool2d(x, kernel, stride, padding, mode), r(rng, 2, 3, 7, 6))


@case(1, (2, 3), (3, 3))
def adaptive_pool2d(w, rng, *size):
    size = size if len(size) == 2 else size[0]
    x = r(rng, 2, 3, 6, 6)
    return w.grads(lambda x: (w.F.adaptive_avg_pool2d(x, size), w.F.adaptive_max_pool2d(x, size)), x)


@case("hswish", "sigmoid", "hsigmoid", "relu", "relu6", "leaky_relu", "silu", "gelu", "softplus", "logsigmoid")
def activation(w, rng, name):
    return w.grads(getattr(w.F, name), r(rng, 3, 5) * 4)


@case()
def prelu(w, rng):
    return w.grads(w.F.prelu, r(rng, 2, 3, 2, 2), r(rng, 1, 3, 1, 1))


@case(0, 1, -1, None)
def softmax(w, rng, axis):
    out = w.grads(lambda x: w.F.softmax(x, axis), r(rng, 4, 5))
    if axis is not None:
        out += w.grads(lambda x: w.F.logsoftmax(x, axis), r(rng, 4, 5) * 9)
        out += w.grads(lambda x: w.F.logsumexp(x, axis), r(rng, 4, 5) * 30)
    return out


@case()
def softmax_list(w, rng):
    return w.grads(lambda x: w.F.softmax(x, [1, 2]), r(rng, 2, 3, 4))


@case()
def linear(w, rng):
    out = w.grads(w.F.linear, r(rng, 3, 4), r(rng, 5, 4), r(rng, 5))
    out += w.grads(w.F.linear, r(rng, 2, 3, 4), r(rng, 5, 4), r(rng, 5))
    return out + w.grads(w.F.linear, r(rng, 4), r(rng, 5, 4))


@case(True, False)
def batch_norm(w, rng, training):
    mean, var = w.t(r(rng, 1, 3, 1, 1)), w.t(np.abs(r(rng, 1, 3, 1, 1)) + 0.5)
    out = w.grads(lambda x, k, b: w.F.batch_norm(x, mean, var, k, b, training=training, momentum=0.8),
                  r(rng, 4, 3, 2, 3), r(rng, 1, 3, 1, 1), r(rng, 1, 3, 1, 1))  # fmt: skip
    return out + [mean.numpy(), var.numpy()]


@case()
def batch_norm_plain(w, rng):
    out = w.grads(lambda x: w.F.batch_norm(x, training=True), r(rng, 5, 3))
    mean, var = w.t(r(rng, 1, 3, 1, 1)), w.t(np.abs(r(rng, 1, 3, 1, 1)) + 0.5)
    x = w.t(r(rng, 4, 3, 2, 2))
    return out + [t.numpy() for t in w.F.batch_norm(x, mean, var, training=True, inplace=False)]


@case(True, False)
def norms(w, rng, affine):
    x, k, b = r(rng, 2, 4, 3, 5), r(rng, 4), r(rng, 4)
    out = w.grads(lambda x, k, b: w.F.nn.group_norm(x, 2, affine, k, b), x, k, b)
    out += w.grads(lambda x, k, b: w.F.nn.instance_norm(x, affine, k, b), x, k, b)
    out += w.grads(lambda x, k, b: w.F.nn.layer_norm(x, (3, 5), affine, k, b), x, r(rng, 3, 5), r(rng, 3, 5))
    out += w.grads(lambda x, k, b: w.F.nn.layer_norm(x, 5, affine, k, b), x, r(rng, 5), r(rng, 5))
    return out + w.grads(lambda x, k, b: w.F.nn.general_norm(x, (1, 2), affine, k, b), x, r(rng, 4, 3), r(rng, 4, 3))


@case()
def general_norm_apart(w, rng):
    return w.grads(
        lambda x, k, b: w.F.nn.general_norm(x, (0, -1), True, k, b), r(rng, 2, 3, 4), r(rng, 2, 4), r(rng, 2, 4)
    )


@case()
def local_response_norm(w, rng):
    return w.grads(lambda x: w.F.local_response_norm(x, 3, 1.5, 0.2, 0.6), r(rng, 1, 6, 2, 3))


@case()
def one_hot_and_embedding(w, rng):
    index = rng.randint(0, 5, (2, 3)).astype("int32")
    out = [w.F.one_hot(w.t(index), 6).numpy(), w.F.one_hot(w.t(np.array([4], "int32")), 5).numpy()]
    out += w.grads(lambda k: w.F.embedding(w.t(index), k), r(rng, 5, 3))
    out += w.grads(lambda k: w.F.embedding(w.t(np.int32(2)), k), r(rng, 5, 3))
    out += w.grads(lambda x: w.F.indexing_one_hot(x, w.t(index), 1), r(rng, 2, 5, 3))
    return out + w.grads(lambda x: w.F.indexing_one_hot(x, w.t(index), -1, keepdims=True), r(rng, 2, 3, 5))


@case()
def sliding_windows(w, rng):
    out = w.grads(lambda x: w.F.sliding_window(x, (2, 3), (1, 0), (2, 1), (1, 2)), r(rng, 1, 2, 6, 7))
    return out + w.grads(
        lambda x: w.F.sliding_window_transpose(x, (6, 7), (2, 3), (1, 0), (2, 1), (1, 2)), r(rng, 1, 2, 4, 3, 2, 3)
    )


@case("constant", "reflect", "replicate", "edge")
def pad(w, rng, mode):
    return w.grads(lambda x: w.F.nn.pad(x, ((1, 2), (0, 1), (2, 0)), mode, 1.5), r(rng, 3, 4, 5))


@case()
def pixel_shuffle(w, rng):
    return w.grads(lambda x: w.F.pixel_shuffle(x, 2), r(rng, 2, 8, 2, 3)) + w.grads(
        lambda x: w.F.pixel_shuffle(x, 3), r(rng, 9, 2, 1)
    )


@case("mean", "sum", "none")
def losses(w, rng, reduction):
    pred, label = r(rng, 4, 3), r(rng, 4, 3)
    classes, p = rng.randint(0, 3, 4).astype("int32"), rng.rand(4, 3).astype("float32") * 0.8 + 0.1
    out = w.grads(lambda a, b: w.F.nn.l1_loss(a, b, reduction=reduction), pred, label)
    out += w.grads(lambda a, b: w.F.nn.square_loss(a, b, reduction=reduction), pred, label)
    out += w.grads(lambda a: w.F.nn.cross_entropy(a, w.t(classes), reduction=reduction), pred)
    out += w.grads(lambda a: w.F.nn.cross_entropy(a, w.t(classes), label_smooth=0.1, reduction=reduction), pred)
    out += w.grads(lambda a: w.F.nn.cross_entropy(a, w.t(classes), with_logits=False, reduction=reduction), p)
    out += w.grads(lambda a, b: w.F.nn.binary_cross_entropy(a, b, reduction=reduction), pred, p)
    out += w.grads(lambda a, b: w.F.nn.binary_cross_entropy(a, b, False, reduction=reduction), p, p[::-1].copy())
    out += w.grads(lambda a, b: w.F.nn.hinge_loss(a, b, reduction=reduction), pred, np.sign(label))
    return out + w.grads(lambda a, b: w.F.nn.hinge_loss(a, b, "L2", reduction=reduction), pred, np.sign(label))


@case()
def losses_of_ints(w, rng):
    a, b = w.t(np.array([3, 3, 3, 3], "int32")), w.t(np.array([2, 8, 6, 1], "int32"))
    out = []
    for f in (w.F.nn.l1_loss, w.F.nn.square_loss):
        out += [f(a, b, reduction=k).numpy() for k in ("mean", "sum", "none")]
    return out


@case(("mean", True), ("sum", False), ("none", True))
def ctc_loss(w, rng, reduction, padded):
    prob = rng.rand(8, 3, 5).astype("float32") + 0.05
    prob /= prob.sum(-1, keepdims=True)
    label = np.array([[1, 1, 2], [3, 4, 0], [2, 1, 2]], "int32")
    sizes, times = np.array([3, 2, 3], "int32"), np.array([8, 5, 7], "int32")
    if not padded:
        label = np.array([1, 1, 2, 3, 4, 2, 1, 2], "int32")
    f = lambda p: w.F.nn.ctc_loss(p, w.t(times), w.t(label), w.t(sizes), reduction=reduction)  # noqa: E731
    if w.is_oracle:  # in-place updates have no gradient there
        return [f(w.t(prob)).numpy()]
    return [w.grads(f, prob)[0]]


@case(("bilinear", (5, 7), None), ("bilinear", (5, 7), True), ("nearest", (5, 7), None), ("bicubic", (5, 7), None))
def interpolate(w, rng, mode, size, align):
    return w.grads(lambda x: w.F.vision.interpolate(x, size, mode=mode, align_corners=align), r(rng, 2, 3, 4, 3))


@case()
def interpolate_more(w, rng):
    out = [w.F.vision.interpolate(w.t(r(rng, 2, 3, 4)), 7, mode="linear").numpy()]
    out += [w.F.vision.interpolate(w.t(r(rng, 2, 3, 4)), 7, mode="linear", align_corners=True).numpy()]
    out += [w.F.vision.interpolate(w.t(r(rng, 1, 2, 3, 4)), scale_factor=f).numpy() for f in (2, 1.7, (0.5, 1.3))]
    out += [
        w.F.vision.interpolate(w.t(r(rng, 1, 2, 3, 4, 2)), (4, 3, 5), mode="trilinear", align_corners=a).numpy()
        for a in (True, False)
    ]
    return out + [w.F.vision.interpolate(w.t(r(rng, 1, 2, 3, 4)), 3).numpy()]


@case("replicate", "constant", "reflect", "wrap")
def warps(w, rng, border):
    mat = np.array([[[0.9, 0.1, 0.3], [-0.2, 1.1, 0.2], [0.01, 0.02, 1.0]]] * 2, "float32")
    out = w.grads(
        lambda x, m: w.F.vision.warp_perspective(x, m, (4, 5), border_mode=border, border_val=1.5),
        r(rng, 2, 3, 5, 4),
        mat,
    )
    out += [
        w.F.vision.warp_perspective(
            w.t(r(rng, 3, 1, 5, 4)), w.t(mat), (3, 3), mat_idx=[2, 0], border_mode=border
        ).numpy()
    ]
    return out + [
        w.F.vision.warp_affine(w.t(r(rng, 2, 5, 4, 3)), w.t(mat[:, :2].copy()), (4, 5), border_mode=border).numpy()
    ]


@case(("replicate", "linear"), ("constant", "linear"), ("reflect", "nearest"))
def remap(w, rng, border, interp):
    xy = (rng.rand(2, 3, 4, 2) * 5 - 0.5).astype("float32")
    if interp == "nearest":
        return [w.F.vision.remap(w.t(r(rng, 2, 3, 4, 5)), w.t(xy), border, 0.5, interp).numpy()]
    return w.grads(lambda x, m: w.F.vision.remap(x, m, border, 0.5, interp), r(rng, 2, 3, 4, 5), xy, only=[0])


@case(("average", True), ("max", False))
def rois(w, rng, mode, aligned):
    boxes = np.array([[0, 0.5, 1, 4.5, 5], [1, 1, 0, 6, 3], [0, 2, 2, 3, 6]], "float32")
    out = w.grads(lambda x: w.F.vision.roi_align(x, w.t(boxes), (2, 3), mode, 0.8, 2, aligned), r(rng, 2, 2, 7, 7))
    return out + w.grads(lambda x: w.F.vision.roi_pooling(x, w.t(boxes), 2, mode, 0.8), r(rng, 2, 2, 7, 7))


@case(None, 2)
def nms(w, rng, limit):
    xy = rng.rand(30, 2) * 20
    boxes = np.concatenate([xy, xy + 4 + rng.rand(30, 2) * 6], 1).astype("float32")
    return [w.F.vision.nms(w.t(boxes), w.t(rng.rand(30).astype("float32")), 0.4, limit).numpy()]


@case(True, False)
def correlation(w, rng, multiply):
    return w.grads(
        lambda a, b: w.F.vision.correlation(a, b, 3, 2, 1, 2, 2, multiply), r(rng, 1, 2, 6, 6), r(rng, 1, 2, 6, 6)
    )


@case("RGB2GRAY", "RGB2YUV", "BGR2GRAY")
def cvt_color(w, rng, mode):
    image = (rng.rand(1, 4, 4, 3) * 255).astype("uint8")
    return [
        w.F.vision.cvt_color(w.t(image), mode).numpy(),
        w.F.vision.cvt_color(w.t(image.astype("float32")), mode).numpy(),
    ]


@case("identity", "relu")
def conv_bias_activation(w, rng, mode):
    d = w.dtype
    x, k, b = w.t(r(rng, 1, 4, 5, 5)), w.t(r(rng, 8, 4, 3, 3)), w.t(r(rng, 1, 8, 1, 1))
    out = w.F.quantized.conv_bias_activation(
        x.astype(d.qint8(0.03)),
        k.astype(d.qint8(0.02)),
        b.astype(d.qint32(0.0006)),
        d.qint8(0.1),
        padding=1,
        nonlinear_mode=mode,
    )
    return [out.numpy().astype("int32")]


@case("plain", "masks", "causal", "no_bias")
def multi_head_attention(w, rng, kind):
    bias = kind != "no_bias"
    x, y, z = r(rng, 2, 3, 8), r(rng, 2, 5, 6), r(rng, 2, 5, 4)
    if kind == "causal":
        y, z = r(rng, 2, 3, 6), r(rng, 2, 3, 4)
    weights = r(rng, 1, (8 + 6 + 4 + 8) * 8 + 32 * bias) * 0.3
    settings = dict(qbias=bias, kbias=bias, vbias=bias, obias=bias)
    if kind == "masks":
        settings.update(
            attn_mask=w.t(r(rng, 3, 5)), key_padding_mask=w.t(np.array([[0, 0, 0, 1, 1], [0, 1, 0, 0, 0]], "bool"))
        )
    if kind == "causal":
        settings.update(attn_mask=w.t(np.triu(np.full((3, 3), -1e9, "float32"), 1)), is_causal=True)
    f = lambda q, k, v, p: w.F.nn.multi_head_attention(q, k, v, 8, 2, 0.0, 0.0, p, need_weights=True, **settings)  # noqa: E731
    out = [t.numpy() for t in f(*map(w.t, (x, y, z, weights)))]
    return out + w.grads(lambda *a: f(*a)[0], x, y, z, weights)[1:]


def fill(module, rng):
    """Weights that do not depend on the framework's random numbers."""
    for name, p in sorted(module.named_tensors(), key=lambda kv: kv[0]):
        value = rng.rand(*p.shape) * 0.8 - 0.4
        p.set_value((np.abs(value) + 0.5 if name.endswith("running_var") else value).astype("float32"))


@case(
    "Linear",
    "Conv2d",
    "ConvBn2d",
    "ConvBnRelu2d",
    "ConvTransposeBn2d",
    "LinearBn1d",
    "BatchNorm2d",
    "GroupNorm",
    "PReLU",
    "LayerNorm",
    "Embedding",
    "Conv1d",
    "LocalConv2d",
    "padding_mode",
    "freeze",
    "Elemwise",
    "SyncBatchNorm",
    "BatchMatMulActivation",
    "InstanceNorm",
)
def modules(w, rng, name):
    M = w.M
    made = {
        "Linear": lambda: (M.Linear(4, 3), (2, 4)),
        "Conv2d": lambda: (M.Conv2d(4, 6, 3, 2, 1, groups=2), (2, 4, 5, 5)),
        "ConvBn2d": lambda: (M.ConvBn2d(4, 6, 3), (2, 4, 5, 5)),
        "ConvBnRelu2d": lambda: (M.ConvBnRelu2d(4, 6, 3), (2, 4, 5, 5)),
        "ConvTransposeBn2d": lambda: (M.ConvTransposeBn2d(4, 6, 3, 2), (2, 4, 3, 3)),
        "PReLU": lambda: (M.PReLU(4), (2, 4, 3, 3)),
        "LinearBn1d": lambda: (M.LinearBn1d(4, 3), (5, 4)),
        "BatchNorm2d": lambda: (M.BatchNorm2d(4), (3, 4, 2, 2)),
        "GroupNorm": lambda: (M.GroupNorm(2, 4), (3, 4, 2, 2)),
        "LayerNorm": lambda: (M.LayerNorm((2, 3)), (4, 2, 3)),
        "Conv1d": lambda: (M.Conv1d(4, 6, 3, padding=1), (2, 4, 5)),
        "LocalConv2d": lambda: (M.LocalConv2d(4, 6, 5, 5, 3), (2, 4, 5, 5)),
        "padding_mode": lambda: (M.Conv2d(2, 3, 3, padding=2, padding_mode="reflect"), (1, 2, 5, 5)),
        "freeze": lambda: (M.BatchNorm2d(4, freeze=True), (3, 4, 2, 2)),
        "SyncBatchNorm": lambda: (M.SyncBatchNorm(4), (3, 4, 2, 2)),
        "BatchMatMulActivation": lambda: (M.BatchMatMulActivation(3, 4, 2, nonlinear_mode="relu"), (3, 4, 2)),
        "InstanceNorm": lambda: (M.InstanceNorm(4), (3, 4, 2, 2)),
    }
    if name == "Embedding":
        m = M.Embedding(6, 3)
        fill(m, rng)
        return [m(w.t(np.array([[1, 5]], "int32"))).numpy()]
    if name == "Elemwise":
        return [M.Elemwise(k)(w.t(r(rng, 3)), w.t(r(rng, 3))).numpy() for k in ("add", "mul", "fuse_add_relu")]
    m, shape = made[name]()
    fill(m, rng)
    params = list(m.parameters())
    x = w.t(r(rng, *shape))
    gm = w.GradManager().attach(params)
    with gm:
        y = m(x)
        gm.backward((y * w.t(np.random.RandomState(3).rand(*y.shape).astype("float32"))).sum())
    out = [y.numpy()] + [np.zeros(0) if p.grad is None else p.grad.numpy() for p in params]
    m.eval()
    out += [m(x).numpy()] + list(m.state_dict().values())
    keys = ",".join(m.state_dict()) + ("" if name == "Conv1d" else "|" + repr(m))  # MegEngine's Conv1d has no text
    return out + [np.frombuffer(keys.encode(), np.uint8)]


@case(("RNNCell", "tanh", True), ("RNNCell", "relu", False), ("LSTMCell", None, True), ("LSTMCell", None, False))
def cells(w, rng, name, nonlinearity, bias):
    m = getattr(w.M, name)(3, 4, bias, *([nonlinearity] if nonlinearity else []))
    for k in ("weight_ih", "weight_hh") + (("bias_ih", "bias_hh") if bias else ()):
        getattr(m, k).set_value(r(rng, *getattr(m, k).shape))
    x, h, c = w.t(r(rng, 2, 3)), w.t(r(rng, 2, 4)), w.t(r(rng, 2, 4))
    if name == "RNNCell":
        return [m(x, h).numpy(), m(x).numpy()] + [np.frombuffer(",".join(m.state_dict()).encode(), np.uint8)]
    return [t.numpy() for t in (*m(x, (h, c)), *m(x))]


@case(
    ("RNN", 1, True, False, False),
    ("RNN", 2, False, True, True),
    ("LSTM", 1, False, False, False),
    ("LSTM", 2, True, True, True),
)
def recurrent(w, rng, name, layers, bias, batch_first, bidirectional):
    m = getattr(w.M, name)(3, 4, layers, bias=bias, batch_first=batch_first, bidirectional=bidirectional)
    for _, p in sorted(m.named_tensors(), key=lambda kv: kv[0]):
        p.set_value(r(rng, *p.shape) * 0.5)
    x = w.t(r(rng, 5, 2, 3))
    n = layers * (2 if bidirectional else 1)
    batch = 5 if batch_first else 2
    h = [w.t(r(rng, n, batch, 4)) for _ in range(1 if name == "RNN" else 2)]
    out, last = m(x, h[0] if name == "RNN" else tuple(h))
    out0, last0 = m(x)
    results = [out, *(last if name == "LSTM" else [last]), out0, *(last0 if name == "LSTM" else [last0])]
    keys = ",".join("%s%s" % (k, v.shape) for k, v in m.state_dict().items())
    return [t.numpy() for t in results] + [np.frombuffer(keys.encode(), np.uint8)]


@case(("SGD", "lr=0.1"), ("SGD", "lr=0.1,momentum=0.9,weight_decay=0.01"), ("SGD", "lr=0.1,momentum=0.9,nesterov=True"),
      ("Adam", "lr=0.1"), ("Adam", "lr=0.1,betas=(0.8, 0.95),weight_decay=0.1"), ("AdamW", "lr=0.1"),
      ("Adagrad", "lr=0.1,lr_decay=0.05,weight_decay=0.01"), ("Adadelta", "lr=0.5,weight_decay=0.01"))  # fmt: skip
def optimizers(w, rng, name, settings):
    params = [w.mge.Parameter(r(rng, 3, 2)), w.mge.Parameter(r(rng, 4))]
    opt = getattr(w.O, name)(params, **eval("dict(%s)" % settings))
    out = []
    for _ in range(6):
        for p in params:
            p.grad = w.t(r(rng, *p.shape))
        opt.step().clear_grad()
        out += [p.numpy() for p in params]
    state = opt.state_dict()
    for i in sorted(state["state"]):
        out += [state["state"][i][k] for k in sorted(state["state"][i])]
    return out + [np.frombuffer(repr(state["param_groups"]).encode(), np.uint8)]


@case(2.0, 1.0, float("inf"))
def clip(w, rng, order):
    params = [w.mge.Parameter(r(rng, 3, 2)), w.mge.Parameter(r(rng, 4))]
    for p in params:
        p.grad = w.t(r(rng, *p.shape) * 3)
    norm = w.O.clip_grad_norm(params, 1.5, order)
    out = [norm.numpy()] + [p.grad.numpy() for p in params]
    w.O.clip_grad_value(params, -0.2, 0.1)
    return out + [p.grad.numpy() for p in params]


@case()
def multi_step_lr(w, rng):
    opt = w.O.SGD(w.mge.Parameter(r(rng, 2)), lr=0.5)
    s = w.O.MultiStepLR(opt, [2, 4], 0.1)
    rates = []
    for _ in range(6):
        rates.append(opt.param_groups[0]["lr"])
        s.step()
    return [np.array(rates, "float64"), np.frombuffer(repr(sorted(s.state_dict().items())).encode(), np.uint8)]


def results(package, names=None):
    """Arrays by "case/number"."""
    w = Framework(package)
    out = {}
    for name, (f, args) in CASES.items():
        if names is None or name in names:
            rng = np.random.RandomState(zlib.crc32(name.encode()) % 2**31)
            for i, a in enumerate(f(w, rng, *args)):
                out["%s/%d" % (name, i)] = np.asarray(a)
    return out


if __name__ == "__main__":
    w = Framework("megengine")
    w.mge.config.async_level = 0
    out = {}
    for name in CASES:
        try:
            out.update(results("megengine", [name]))
        except Exception as e:  # noqa: BLE001
            print("not recorded:", name, str(e).strip().split("\n")[0][:200], file=sys.stderr)
    np.savez_compressed(sys.argv[1], **out)
