"""Models written as MegEngine's public ones; `python model_cases.py OUT.npz` with MegEngine records how they train."""

import sys

import numpy as np


def make(package):
    """The models' classes for MegEngine or Megalith."""
    import importlib

    F = importlib.import_module(package + ".functional")
    M = importlib.import_module(package + ".module")

    class LeNet(M.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = M.Conv2d(1, 6, 5)
            self.relu1 = M.ReLU()
            self.pool1 = M.MaxPool2d(2, 2)
            self.conv2 = M.Conv2d(6, 16, 5)
            self.relu2 = M.ReLU()
            self.pool2 = M.AvgPool2d(2, 2)
            self.fc1 = M.Linear(16 * 5 * 5, 120)
            self.fc2 = M.Linear(120, 84)
            self.classifer = M.Linear(84, 10)

        def forward(self, x):
            x = self.pool1(self.relu1(self.conv1(x)))
            x = self.pool2(self.relu2(self.conv2(x)))
            x = F.flatten(x, 1)
            x = F.relu(self.fc1(x))
            x = F.relu(self.fc2(x))
            return self.classifer(x)

    class BasicBlock(M.Module):
        def __init__(self, in_channels, channels, stride=1):
            super().__init__()
            self.conv1 = M.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
            self.bn1 = M.BatchNorm2d(channels)
            self.conv2 = M.Conv2d(channels, channels, 3, 1, padding=1, bias=False)
            self.bn2 = M.BatchNorm2d(channels)
            self.downsample = (
                M.Identity()
                if in_channels == channels and stride == 1
                else M.Sequential(M.Conv2d(in_channels, channels, 1, stride, bias=False), M.BatchNorm2d(channels))
            )

        def forward(self, x):
            identity = x
            x = F.relu(self.bn1(self.conv1(x)))
            x = self.bn2(self.conv2(x))
            identity = self.downsample(identity)
            x += identity
            return F.relu(x)

    class ResNet18(M.Module):
        def __init__(self, width=8):
            super().__init__()
            self.in_channels = width
            self.conv1 = M.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
            self.bn1 = M.BatchNorm2d(width)
            self.maxpool = M.MaxPool2d(kernel_size=3, stride=2, padding=1)
            self.layer1 = self._make_layer(width, 2)
            self.layer2 = self._make_layer(width * 2, 2, 2)
            self.layer3 = self._make_layer(width * 4, 2, 2)
            self.layer4 = self._make_layer(width * 8, 2, 2)
            self.fc = M.Linear(width * 8, 10)

        def _make_layer(self, channels, blocks, stride=1):
            layers = [BasicBlock(self.in_channels, channels, stride)]
            self.in_channels = channels
            for _ in range(1, blocks):
                layers.append(BasicBlock(self.in_channels, channels))
            return M.Sequential(*layers)

        def forward(self, x):
            x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            x = F.avg_pool2d(x, x.shape[2])
            return self.fc(F.flatten(x, 1))

    class ShuffleBlock(M.Module):
        def __init__(self, inp, oup, mid, *, ksize, stride):
            super().__init__()
            self.stride = stride
            pad = ksize // 2
            outputs = oup - inp
            self.branch_main = M.Sequential(
                M.Conv2d(inp, mid, 1, 1, 0, bias=False), M.BatchNorm2d(mid), M.ReLU(),
                M.Conv2d(mid, mid, ksize, stride, pad, groups=mid, bias=False), M.BatchNorm2d(mid),
                M.Conv2d(mid, outputs, 1, 1, 0, bias=False), M.BatchNorm2d(outputs), M.ReLU(),
            )  # fmt: skip
            if stride == 2:
                self.branch_proj = M.Sequential(
                    M.Conv2d(inp, inp, ksize, stride, pad, groups=inp, bias=False), M.BatchNorm2d(inp),
                    M.Conv2d(inp, inp, 1, 1, 0, bias=False), M.BatchNorm2d(inp), M.ReLU(),
                )  # fmt: skip
            else:
                self.branch_proj = None

        def forward(self, old_x):
            if self.stride == 1:
                proj, x = self.channel_shuffle(old_x)
                return F.concat((proj, self.branch_main(x)), 1)
            return F.concat((self.branch_proj(old_x), self.branch_main(old_x)), 1)

        def channel_shuffle(self, x):
            batchsize, num_channels, height, width = x.shape
            x = x.reshape(batchsize * num_channels // 2, 2, height * width)
            x = F.transpose(x, (1, 0, 2))
            x = x.reshape(2, -1, num_channels // 2, height, width)
            return x[0], x[1]

    class ShuffleNetV2(M.Module):
        def __init__(self):
            super().__init__()
            self.first_conv = M.Sequential(M.Conv2d(3, 8, 3, 2, 1, bias=False), M.BatchNorm2d(8), M.ReLU())
            self.maxpool = M.MaxPool2d(kernel_size=3, stride=2, padding=1)
            features, channels = [], 8
            for repeat, out in ((2, 16), (2, 32)):
                for i in range(repeat):
                    if i == 0:
                        features.append(ShuffleBlock(channels, out, mid=out // 2, ksize=3, stride=2))
                    else:
                        features.append(ShuffleBlock(channels // 2, out, mid=out // 2, ksize=3, stride=1))
                    channels = out
            self.features = M.Sequential(*features)
            self.globalpool = M.AvgPool2d(4)
            self.dropout = M.Dropout(0.0)
            self.classifier = M.Sequential(M.Linear(channels, 10, bias=False))

        def forward(self, x):
            x = self.globalpool(self.features(self.maxpool(self.first_conv(x))))
            x = self.dropout(x.reshape(-1, x.shape[1]))
            return self.classifier(x)

    return {
        "LeNet": (LeNet, (1, 32, 32)),
        "ResNet18": (ResNet18, (3, 64, 64)),
        "ShuffleNetV2": (ShuffleNetV2, (3, 64, 64)),
    }


def train(package, name, steps=5):
    """Losses of a few training steps and the outputs in evaluation afterwards, from fixed weights."""
    import importlib

    mge = importlib.import_module(package)
    F = importlib.import_module(package + ".functional")
    GradManager = importlib.import_module(package + ".autodiff").GradManager
    optim = importlib.import_module(package + ".optimizer")
    model, shape = make(package)[name]
    net, rng = model(), np.random.RandomState(0)
    state = net.state_dict()
    for k in sorted(state):
        v = state[k]
        if v.ndim > 1:
            state[k] = (rng.randn(*v.shape) / np.sqrt(max(v[0].size, 8))).astype("float32")
    net.load_state_dict(state)
    x = mge.Tensor(rng.randn(4, *shape).astype("float32"))
    label = mge.Tensor(np.array([1, 5, 9, 0], "int32"))
    gm = GradManager().attach(net.parameters())
    opt = optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    losses = []
    for _ in range(steps):
        with gm:
            loss = F.nn.cross_entropy(net(x), label)
            gm.backward(loss)
        opt.step().clear_grad()
        losses.append(loss.item())
    net.eval()
    return np.array(losses, "float32"), net(x).numpy()


if __name__ == "__main__":
    out = {}
    for name in ("LeNet", "ResNet18", "ShuffleNetV2"):
        out[name + "/losses"], out[name + "/outputs"] = train("megengine", name)
    np.savez_compressed(sys.argv[1], **out)
