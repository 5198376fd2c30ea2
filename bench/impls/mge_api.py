"""Cases in MegEngine's Python API, for the two packages that have it."""

import importlib

import data
import nets
import numpy as np
from worker import Unsupported


class Api:
    """mge: the package."""

    def __init__(self, mge):
        name = mge.__name__
        self.mge = mge
        self.F, self.M, self.jit, self.optimizer, self.autodiff = (
            importlib.import_module(name + "." + part)
            for part in ("functional", "module", "jit", "optimizer", "autodiff")
        )
        self.wait = mge._full_sync if name == "megengine" else None  # its interpreter runs behind

    def tensor(self, a):
        return self.mge.tensor(np.ascontiguousarray(a))

    def timed(self, f, x):
        """Calls of f, until results are in memory."""
        wait = self.wait
        if wait is None:
            return lambda: f(x)

        def run():
            f(x)
            wait()

        return run

    # ------------------------------------------------------------------------------------------ functions of one tensor
    def function(self, c):
        """f and its argument's array, of cases that are one function; None for others."""
        group = c["group"]
        if group == "matmul":
            a, b = data.matmul(c)
            b = self.tensor(b)
            return lambda x: self.F.matmul(x, b), a
        if group == "conv":
            x, w = data.conv(c)
            w = self.tensor(w.reshape(c["g"], c["oc"] // c["g"], *w.shape[1:]) if c["g"] > 1 else w)
            return lambda x: self.F.conv2d(x, w, None, c["s"], c["p"], 1, c["g"]), x
        if group in ("local", "local_share"):
            x, w = data.local(c)
            if group == "local":
                w = self.tensor(w)
                return lambda x: self.F.local_conv2d(x, w, None, c["s"], c["p"]), x
            if not hasattr(self.F, "local_share_conv2d"):  # MegEngine has no function for it
                raise Unsupported
            w = self.tensor(w if c["g"] > 1 else w[0])
            regions = (c["sgh"], c["sgw"])
            return lambda x: self.F.local_share_conv2d(x, w, None, c["s"], c["p"], 1, regions, c["g"]), x
        if group == "model":
            net = self.net(c["model"])
            net.eval()
            return net, nets.input_for(c["model"], c["n"])
        if group == "rnn" and c["mode"] == "infer":
            f, m, x = self.recurrent(c)
            m.eval()
            return f, x
        if c["name"] == "mlp_forward":
            return self.mlp(), data.mlp_batch()[0]
        return None

    # -------------------------------------------------------------------------------------------------------- networks
    def net(self, name):
        api = self

        class Net(self.M.Module):
            def __init__(self):
                super().__init__()
                self.names = {}
                for key, value in nets.params(name).items():
                    kind = key.rsplit(".", 1)[1]
                    per_channel = kind in ("gamma", "beta", "mean", "var") or (kind == "b" and key.startswith("c"))
                    value = value.reshape(1, -1, 1, 1) if per_channel else value
                    self.names[key] = "p_" + key.replace(".", "_")
                    constant = kind in ("mean", "var")
                    setattr(self, self.names[key], api.tensor(value) if constant else api.mge.Parameter(value))

            def forward(self, x):
                backend = NetBackend(api.F, {k: getattr(self, v) for k, v in self.names.items()}, self.training)
                return nets.NETS[name](backend, x)

        return Net()

    def mlp(self):
        net = self.M.Sequential(self.M.Linear(16, 32), self.M.ReLU(), self.M.Linear(32, 10))
        for layer, (w, b) in zip((net[0], net[2]), data.mlp_weights()):
            layer.weight[:] = self.tensor(w)
            layer.bias[:] = self.tensor(b)
        return net

    def recurrent(self, c):
        """f, the module and the input's array."""
        x, weights = data.rnn(c)
        kind = {"lstm": "LSTM", "rnn": "RNN", "gru": "GRU"}[c["kind"]] + ("Cell" if c["cell"] else "")
        if not hasattr(self.M, kind):
            raise Unsupported
        if c["cell"]:
            m = getattr(self.M, kind)(c["I"], c["H"])
            for name, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), weights[0]):
                getattr(m, name)[:] = self.tensor(value.reshape(getattr(m, name).shape))
            zero = self.tensor(np.zeros((c["N"], c["H"]), "float32"))
            state = (zero, zero) if c["kind"] == "lstm" else zero
            return (lambda x: m(x, state)[0]) if c["kind"] == "lstm" else (lambda x: m(x, state)), m, x[0]
        m = getattr(self.M, kind)(c["I"], c["H"], num_layers=c["L"], bidirectional=c["bi"])
        self.set_recurrent(m, weights)
        return (lambda x: m(x)[0]), m, x

    def set_recurrent(self, m, weights):
        # MegEngine's one weight: every layer and direction's w_ih and w_hh, then every one's b_ih and b_hh.
        flat = [v.ravel() for layer in weights for v in layer[:2]] + [v.ravel() for layer in weights for v in layer[2:]]
        if len(weights) > 1:
            raise Unsupported  # the order of several layers differs between its own modes
        m._flatten_weights[:] = self.tensor(np.concatenate(flat).reshape(m._flatten_weights.shape))

    # -------------------------------------------------------------------------------------------------------- training
    def steps(self, net, x, y, lr):
        """A step of SGD with the loss as its result."""
        manager = self.autodiff.GradManager().attach(net.parameters())
        optimizer = self.optimizer.SGD(net.parameters(), lr=lr)
        x, y = self.tensor(x), self.tensor(y)

        def step():
            with manager:
                loss = self.F.nn.cross_entropy(net(x), y)
                manager.backward(loss)
            optimizer.step().clear_grad()
            return loss

        return step

    def train(self, make_net, x, y, lr=0.01):
        step = self.steps(make_net(), x, y, lr)
        wait = self.wait

        def run():
            step()
            if wait:
                wait()

        def output():
            fresh = self.steps(make_net(), x, y, lr)
            return [np.array([float(fresh().numpy()) for _ in range(3)])]

        return run, output

    def recurrent_step(self, c):
        f, m, x = self.recurrent(c)
        x = self.tensor(x)
        m.train()
        manager = self.autodiff.GradManager().attach(list(m.parameters()) + [x])
        wait = self.wait

        def run():
            for p in m.parameters():
                p.grad = None
            x.grad = None
            with manager:
                manager.backward(f(x).sum())
            if wait:
                wait()

        def output():
            run()
            return [f(x).numpy(), x.grad.numpy()]

        return run, output

    # ----------------------------------------------------------------------------------------------------- small calls
    def call(self, c):
        names = dict(a=self.tensor(np.ones(1, "f")), x=self.tensor(np.ones(4, "f")), F=self.F,
                     m=self.tensor(np.ones((8, 8), "f")), transpose=lambda m: m.transpose(1, 0))  # fmt: skip
        call = eval("lambda: " + c["call"], names)
        if not self.wait:
            return call, None
        count, wait = [0], self.wait

        def run():  # MegEngine's interpreter runs behind: its queue must not grow without end
            call()
            count[0] += 1
            if count[0] % 1000 == 0:
                wait()

        return run, None

    def chain(self):
        a = self.tensor(np.ones(1, "f"))

        def run():
            b = a
            for _ in range(100):
                b = b + a
            return b.numpy()

        return run, lambda: [run()]

    def eager(self, c):
        """(run, output) of any case by eager calls."""
        found = self.function(c)
        if found:
            f, x = found
            x = self.tensor(x)
            return self.timed(f, x), lambda: [f(x).numpy()]
        if c["group"] == "rnn":
            return self.recurrent_step(c)
        if c["group"] == "train":
            return self.train(lambda: self.net(c["model"]), *data.train_batch(c))
        if c["name"] == "mlp_step":
            return self.train(self.mlp, *data.mlp_batch())
        if c["name"] == "add_chain100":
            return self.chain()
        if "call" in c:
            return self.call(c)
        raise Unsupported


class NetBackend:
    """What nets.py needs."""

    def __init__(self, F, parameters, training):
        self.F, self.parameters, self.training = F, parameters, training

    def param(self, name, shape):
        return self.parameters[name]

    def conv(self, x, w, b, s, p, g):
        if g > 1:
            o, i, k, _ = (int(q) for q in w.shape)
            w = w.reshape(g, o // g, i, k, k)
        return self.F.conv2d(x, w, b, s, p, 1, g)

    def bn(self, x, g, b, m, v):
        return self.F.batch_norm(x, m, v, g, b, training=self.training, momentum=0.9, eps=1e-5)

    def relu(self, x):
        return self.F.relu(x)

    def relu6(self, x):
        return self.F.relu6(x)

    def maxpool(self, x, k, s, p):
        return self.F.max_pool2d(x, k, s, p)

    def gap(self, x):
        return self.F.mean(x, axis=[2, 3])

    def fc(self, x, w, b):
        return self.F.linear(x, w, b)

    def add(self, x, y):
        return x + y

    def concat(self, xs):
        return self.F.concat(xs, 1)

    def split2(self, x):
        return self.F.split(x, 2, axis=1)

    def flatten(self, x):
        return self.F.flatten(x, 1)

    def shuffle2(self, x):
        n, c, h, w = (int(i) for i in x.shape)
        return x.reshape(n, 2, c // 2, h, w).transpose(0, 2, 1, 3, 4).reshape(n, c, h, w)
