"""PyTorch. Variants: "" (eager), compile, jit (traced, frozen and optimized; models), avx2."""

import data
import nets
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from worker import Unsupported


def version():
    return torch.__version__


class _Backend:
    def __init__(self, parameters, training):
        self.parameters, self.training = parameters, training

    def param(self, name, shape):
        return self.parameters[name]

    def conv(self, x, w, b, s, p, g):
        return F.conv2d(x, w, b, s, p, 1, g)

    def bn(self, x, g, b, m, v):
        return F.batch_norm(x, m, v, g, b, self.training, 0.1, 1e-5)

    def relu(self, x):
        return F.relu(x)

    def relu6(self, x):
        return F.relu6(x)

    def maxpool(self, x, k, s, p):
        return F.max_pool2d(x, k, s, p)

    def gap(self, x):
        return x.mean((2, 3))

    def fc(self, x, w, b):
        return F.linear(x, w, b)

    def add(self, x, y):
        return x + y

    def concat(self, xs):
        return torch.cat(xs, 1)

    def split2(self, x):
        return torch.chunk(x, 2, 1)

    def flatten(self, x):
        return x.flatten(1)

    def shuffle2(self, x):
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class _Net(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.name, self.names = name, {}
        for key, value in nets.params(name).items():
            attribute = self.names[key] = key.replace(".", "_")
            if key.rsplit(".", 1)[1] in ("mean", "var"):
                self.register_buffer(attribute, torch.from_numpy(value))
            else:
                self.register_parameter(attribute, nn.Parameter(torch.from_numpy(value)))

    def forward(self, x):
        parameters = {k: getattr(self, v) for k, v in self.names.items()}
        return nets.NETS[self.name](_Backend(parameters, self.training), x)


def _mlp():
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
    with torch.no_grad():
        for layer, (w, b) in zip((net[0], net[2]), data.mlp_weights()):
            layer.weight.copy_(torch.from_numpy(w))
            layer.bias.copy_(torch.from_numpy(b))
    return net


def _inference(f, x, variant):
    x = torch.from_numpy(np.ascontiguousarray(x))
    if "jit" in variant:
        with torch.no_grad():
            f = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(f, x).eval()))
    elif "compile" in variant:
        f = torch.compile(f)
    mode = torch.no_grad if "jit" in variant or "compile" in variant else torch.inference_mode

    def run():
        with mode():
            return f(x)

    return run, lambda: [run().numpy()]


def _recurrent(c):
    x, weights = data.rnn(c)
    kind = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}[c["kind"]]
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    if c["cell"]:
        m = getattr(nn, kind + "Cell")(c["I"], c["H"])
        suffixes = [""]
        zero = torch.zeros(c["N"], c["H"])
        x = x[0]
    else:
        m = getattr(nn, kind)(c["I"], c["H"], c["L"], bidirectional=c["bi"])
        suffixes = ["_l%d%s" % (i, d) for i in range(c["L"]) for d in (("", "_reverse") if c["bi"] else ("",))]
    with torch.no_grad():
        for suffix, arrays in zip(suffixes, weights):
            for name, a in zip(names, arrays):
                getattr(m, name + suffix).copy_(torch.from_numpy(a))
    if not c["cell"]:
        return (lambda x: m(x)[0]), m, x
    return (lambda x: m(x, (zero, zero))[0]) if kind == "LSTM" else (lambda x: m(x, zero)), m, x


def _recurrent_step(c):
    f, m, x = _recurrent(c)
    x = torch.from_numpy(x).requires_grad_(True)
    m.train()

    def run():
        for p in m.parameters():
            p.grad = None
        x.grad = None
        f(x).sum().backward()

    def output():
        run()
        return [f(x).detach().numpy(), x.grad.numpy()]

    return run, output


def _local(c):
    """Patches, then a product for each place or region."""
    x, w = data.local(c)
    g, k, s, p, n = c["g"], c["k"], c["s"], c["p"], c["n"]
    ocg, depth, oh, ow = c["oc"] // g, c["ic"] // g * k * k, c["oh"], c["ow"]
    if c["group"] == "local":
        weights = torch.from_numpy(w).view(g * oh * ow, depth, ocg)

        def f(x):
            u = F.unfold(x, k, padding=p, stride=s).view(n, g, depth, oh * ow)
            y = torch.bmm(u.permute(1, 3, 0, 2).reshape(g * oh * ow, n, depth), weights)
            return y.view(g, oh, ow, n, ocg).permute(3, 0, 4, 1, 2).reshape(n, g * ocg, oh, ow)
    else:
        r = c["sgh"]
        th, tw = oh // r, ow // r
        weights = torch.from_numpy(w).view(g * r * r, depth, ocg)

        def f(x):
            u = F.unfold(x, k, padding=p, stride=s).view(n, g, depth, r, th, r, tw)
            u = u.permute(1, 3, 5, 0, 4, 6, 2).reshape(g * r * r, n * th * tw, depth)
            y = torch.bmm(u, weights).view(g, r, r, n, th, tw, ocg)
            return y.permute(3, 0, 6, 1, 4, 2, 5).reshape(n, g * ocg, oh, ow)

    return f, x


def _train(make_net, x, y, variant):
    x, y = torch.from_numpy(x), torch.from_numpy(y).long()

    def steps():
        net = make_net().train()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        loss_of = lambda: F.cross_entropy(net(x), y)  # noqa: E731
        if "compile" in variant:
            loss_of = torch.compile(loss_of)

        def step():
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            optimizer.step()
            return loss

        return step

    def output():
        step = steps()
        return [np.array([step().item() for _ in range(3)])]

    return steps(), output


def _function(c):
    """f and its argument's array, of cases that are one function."""
    group = c["group"]
    if group == "matmul":
        a, b = data.matmul(c)
        b = torch.from_numpy(b)
        return lambda x: torch.mm(x, b), a
    if group == "conv":
        x, w = data.conv(c)
        w = torch.from_numpy(w)
        return lambda x: F.conv2d(x, w, None, c["s"], c["p"], 1, c["g"]), x
    if group in ("local", "local_share"):
        return _local(c)
    if group == "model":
        return _Net(c["model"]).eval(), nets.input_for(c["model"], c["n"])
    if group == "rnn" and c["mode"] == "infer":
        f, m, x = _recurrent(c)
        m.eval()
        return f, x
    if c["name"] == "mlp_forward":
        return _mlp().eval(), data.mlp_batch()[0]
    return None


def _chain():
    a = torch.ones(1)

    def run():
        b = a
        for _ in range(100):
            b = b + a
        return b.numpy()

    return run, lambda: [run()]


def make(c, variant, threads):
    torch.set_num_threads(threads)
    found = _function(c)
    if found:
        return _inference(*found, variant=variant)
    if c["group"] == "rnn":
        return _recurrent_step(c)
    if c["group"] == "train":
        return _train(lambda: _Net(c["model"]), *data.train_batch(c), variant=variant)
    if c["name"] == "mlp_step":
        return _train(_mlp, *data.mlp_batch(), variant=variant)
    if c["name"] == "add_chain100":
        return _chain()
    if "call" in c:
        names = dict(a=torch.ones(1), x=torch.ones(4), m=torch.ones(8, 8), F=torch, transpose=lambda m: m.permute(1, 0))
        return eval("lambda: " + c["call"], names), None
    raise Unsupported
