"""A language model of characters: an LSTM learns to write like this project's own documentation, and prints samples.

    python char_lm.py
    python char_lm.py --text novel.txt --steps 4000 --hidden 256

Each sample begins with `--start` and goes on with characters that are drawn from what the model expects.
"""

import argparse
import textwrap
from pathlib import Path

import digits
import numpy as np

import megalith as mge
import megalith.functional as F
import megalith.module as M
from megalith.autodiff import GradManager
from megalith.optimizer import Adam, clip_grad_norm


class CharModel(M.Module):
    """Characters to vectors, an LSTM over them, and what comes next at every place."""

    def __init__(self, characters, hidden, layers):
        super().__init__()
        self.embedding = M.Embedding(characters, 48)
        self.lstm = M.LSTM(48, hidden, layers, batch_first=True)
        self.out = M.Linear(hidden, characters)

    def forward(self, text, state=None):
        y, state = self.lstm(self.embedding(text), state)
        return self.out(y), state


def documentation() -> str:
    """The guides of this repository; generated tables are left out."""
    root = Path(__file__).resolve().parents[2]
    files = [
        path
        for path in sorted({*root.glob("*.md"), *root.glob("docs/**/*.md")})
        if path.name not in ("ops.md", "python-api.md") and not path.name.endswith(".zh.md")
    ]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def sample(net, alphabet, start, length, temperature, rng) -> str:
    """Text that begins with ``start``: one character after the other, each drawn from what the model expects."""
    net.eval()
    index = {c: i for i, c in enumerate(alphabet)}
    logits, state = net(mge.Tensor([[index[c] for c in start]], dtype="int32"))
    text = start
    while len(text) < length:
        p = F.softmax(logits[0, -1] / temperature).numpy().astype(np.float64)
        next_one = rng.choice(len(alphabet), p=p / p.sum())
        text += alphabet[next_one]
        logits, state = net(mge.Tensor([[next_one]], dtype="int32"), state)
    return text


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, help="a file to learn from; by default this project's guides")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--window", type=int, default=64, help="characters that a gradient goes back")
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--temperature", type=float, default=0.7, help="below 1: safer characters")
    parser.add_argument("--start", default="Megalith ", help="what samples begin with")
    parser.add_argument("--length", type=int, default=300, help="characters in a sample")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a file for the weights")
    args = parser.parse_args(argv)

    text = args.text.read_text(encoding="utf-8") if args.text else documentation()
    alphabet = sorted(set(text) | set(args.start))
    index = {c: i for i, c in enumerate(alphabet)}
    codes = np.array([index[c] for c in text], np.int32)
    cut = len(codes) - max(len(codes) // 20, args.window + 1)
    print(f"{len(codes):,} characters, {len(alphabet)} different ones; the last {len(codes) - cut:,} are for the test")
    if cut <= args.window:
        parser.error("the text is too short")

    mge.random.seed(args.seed)
    rng = np.random.default_rng(args.seed)
    net = CharModel(len(alphabet), args.hidden, args.layers)
    parameters = list(net.parameters())
    gm, optimizer = GradManager().attach(parameters), Adam(parameters, lr=args.lr)

    def windows(low, high, count):
        """Random pieces of the text, and the same pieces one character further."""
        first = rng.integers(low, high - args.window, count)[:, None] + np.arange(args.window)
        return mge.Tensor(codes[first]), mge.Tensor(codes[first + 1])

    def loss_of(x, y):
        logits, _ = net(x)
        return F.nn.cross_entropy(logits.reshape(-1, len(alphabet)), y.flatten())

    recent = []
    report = max(args.steps // 4, 1)
    for step in digits.progress(range(args.steps), "training"):
        net.train()
        for group in optimizer.param_groups:
            group["lr"] = args.lr * (1 - 0.95 * step / args.steps)
        with gm:
            loss = loss_of(*windows(0, cut, args.batch))
            gm.backward(loss)
        clip_grad_norm(parameters, 1.0)
        optimizer.step().clear_grad()
        recent.append(loss.item())
        if (step + 1) % report == 0:
            net.eval()
            test = loss_of(*windows(cut - 1, len(codes), 64)).item()
            print(f"\nstep {step + 1}: {np.mean(recent):.3f} nats a character, {test:.3f} on unseen text. A sample:")
            print(
                textwrap.indent(sample(net, alphabet, args.start, args.length, args.temperature, rng), "    "),
                flush=True,
            )
            recent.clear()
    if args.out:
        mge.save({"net": net.state_dict(), "alphabet": alphabet}, str(args.out))
        print(f"weights: {args.out}")
    return test


if __name__ == "__main__":
    main()
