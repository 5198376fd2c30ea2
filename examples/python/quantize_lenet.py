"""Trains a LeNet, goes on with quantization-aware training, and writes an int8 model as `.mge`.

    python examples/python/quantize_lenet.py                     # digits drawn by the script
    python examples/python/quantize_lenet.py --data mnist/       # MNIST's four IDX files, gzipped or not

Prints the accuracy of the float, the QAT and the int8 network and the size of the file.
"""

import argparse
import gzip
import os
from pathlib import Path

import numpy as np

import megalith as mge
import megalith.functional as F
import megalith.module as M
import megalith.quantization as Q
from megalith.autodiff import GradManager
from megalith.jit import trace
from megalith.optimizer import SGD

try:
    from tqdm import tqdm
except ImportError:

    def tqdm(steps, **_):
        return steps


# 5 x 7 dots of the digits 0 to 9, a row in 5 bits.
FONT = (
    "0e11131519110e 040c040404040e 0e11010204081f 1f02040201110e 02060a121f0202 "
    "1f101e0101110e 0608101e11110e 1f010204080808 0e11110e11110e 0e11110f01020c"
).split()


def drawn_digits(count: int, rng) -> tuple:
    """Digits of two sizes at random places with noise, of MNIST's shape and range."""
    glyphs = [
        np.array([[int(g[2 * row : 2 * row + 2], 16) >> (4 - col) & 1 for col in range(5)] for row in range(7)])
        for g in FONT
    ]
    labels = rng.integers(0, 10, count)
    images = rng.normal(20, 20, (count, 1, 28, 28))
    for image, label in zip(images, labels):
        zoom = rng.integers(2, 4)
        glyph = np.kron(glyphs[label], np.ones((zoom, zoom)))
        y, x = (rng.integers(0, 29 - size) for size in glyph.shape)
        image[0, y : y + glyph.shape[0], x : x + glyph.shape[1]] += glyph * rng.uniform(120, 220)
    return images.clip(0, 255).astype(np.float32), labels.astype(np.int32)


def mnist(folder: Path, part: str) -> tuple:
    """Images and labels of ``train`` or ``t10k``."""

    def read(kind, header):
        path = folder / f"{part}-{kind}-ubyte"
        data = path.read_bytes() if path.exists() else gzip.decompress(path.with_suffix(".gz").read_bytes())
        return np.frombuffer(data, np.uint8, offset=header)

    images = read("images-idx3", 16).reshape(-1, 1, 28, 28)
    return images.astype(np.float32), read("labels-idx1", 8).astype(np.int32)


class LeNet(M.Module):
    """LeNet-5 of layers that quantization knows: it fuses convolution, batch normalization and ReLU."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = M.QuantStub(), M.DequantStub()
        self.conv1 = M.ConvBnRelu2d(1, 6, 5, padding=2)
        self.conv2 = M.ConvBnRelu2d(6, 16, 5)
        self.pool = M.MaxPool2d(2, 2)
        self.fc1, self.fc2, self.fc3 = M.LinearRelu(400, 120), M.LinearRelu(120, 84), M.Linear(84, 10)

    def forward(self, x):
        x = self.pool(self.conv1(self.quant(x)))
        x = F.flatten(self.pool(self.conv2(x)), 1)
        return self.dequant(self.fc3(self.fc2(self.fc1(x))))


def normalized(images) -> mge.Tensor:
    return mge.Tensor((images / 255 - 0.13) / 0.31)


def train(net, images, labels, epochs, lr, rng, what, batch=64):
    net.train()
    opt = SGD(net.parameters(), lr=lr, momentum=0.9)
    gm = GradManager().attach(net.parameters())
    for epoch in range(epochs):
        order = rng.permutation(len(images))
        bar = tqdm(range(0, len(order) - batch + 1, batch), desc=f"{what}, epoch {epoch + 1}")
        for i in bar:
            pick = order[i : i + batch]
            with gm:
                loss = F.nn.cross_entropy(net(normalized(images[pick])), mge.Tensor(labels[pick]))
                gm.backward(loss)
            opt.step().clear_grad()
            if hasattr(bar, "set_postfix"):
                bar.set_postfix(loss=f"{loss.item():.3f}")


def accuracy(run, images, labels, batch=100) -> float:
    """The share of images that are told right, in batches of one size as a traced network needs."""
    count = len(images) // batch * batch
    right = 0
    for i in range(0, count, batch):
        right += int((run(normalized(images[i : i + batch])).numpy().argmax(1) == labels[i : i + batch]).sum())
    return right / count


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with MNIST's files; without it digits are drawn")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of float training")
    parser.add_argument("--qat-epochs", type=int, default=1, help="epochs of quantization-aware training")
    parser.add_argument("--count", type=int, default=4000, help="drawn digits to train with")
    parser.add_argument("--output", default="lenet-int8.mge", help="the file to write")
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    if args.data:
        (images, labels), (test_images, test_labels) = mnist(args.data, "train"), mnist(args.data, "t10k")
    else:
        (images, labels), (test_images, test_labels) = drawn_digits(args.count, rng), drawn_digits(1000, rng)

    net = LeNet()
    train(net, images, labels, args.epochs, 0.02, rng, "float")
    net.eval()
    print(f"float accuracy  {accuracy(net, test_images, test_labels):.4f}")

    Q.quantize_qat(net, qconfig=Q.ema_fakequant_qconfig)
    train(net, images, labels, args.qat_epochs, 0.002, rng, "QAT")
    net.eval()
    print(f"QAT accuracy    {accuracy(net, test_images, test_labels):.4f}")

    Q.quantize(net)
    net.eval()
    run = trace(net, symbolic=True, capture_as_const=True)
    print(f"int8 accuracy   {accuracy(run, test_images, test_labels):.4f}")
    run.dump(args.output, arg_names=["data"])
    print(f"wrote {args.output}: {os.path.getsize(args.output):,} bytes")


if __name__ == "__main__":
    main()
