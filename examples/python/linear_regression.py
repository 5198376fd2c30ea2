"""Fits a line to noisy points: tensors, a GradManager and an optimizer, nothing else.

    python linear_regression.py

It prints the line that it found next to the true one.
"""

import argparse

import megalith as mge
from megalith.autodiff import GradManager
from megalith.optimizer import SGD


def fit(steps=100, seed=0, slope=5.0, offset=2.8):
    """Returns the slope and offset that training found."""
    mge.random.seed(seed)
    x = mge.random.uniform(-1, 1, size=(200,))
    y = slope * x + offset + mge.random.normal(0, 0.1, size=(200,))
    w, b = mge.Parameter(0.0), mge.Parameter(0.0)
    gm, optimizer = GradManager().attach([w, b]), SGD([w, b], lr=0.1)
    for step in range(steps):
        with gm:
            loss = ((w * x + b - y) ** 2).mean()
            gm.backward(loss)
        optimizer.step().clear_grad()
        if step % 20 == 0:
            print(f"step {step:3}: loss {loss.item():.4f}, w {w.item():.3f}, b {b.item():.3f}")
    return w.item(), b.item()


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    w, b = fit(args.steps, args.seed)
    print(f"y = {w:.2f} x + {b:.2f} (true: 5.00 x + 2.80)")
    return w, b


if __name__ == "__main__":
    main()
