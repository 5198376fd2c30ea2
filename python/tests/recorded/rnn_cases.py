"""Recurrent networks in PyTorch: `python rnn_cases.py OUT.npz` records results and gradients on the same weights."""

import itertools
import sys
import zlib

import numpy as np

VARIANTS = [  # layers, bias, bidirectional, batch_first, lengths
    (1, True, False, False, None),
    (2, True, True, True, None),
    (2, False, True, False, None),
    (2, True, True, False, (3, 5, 1)),
]
CASES = {
    f"{kind}-{layers}{'-bias' * bias}{'-bidirectional' * bi}{'-batch_first' * first}{'-lengths' if lengths else ''}": (
        kind, layers, bias, bi, first, lengths)
    for kind, (layers, bias, bi, first, lengths) in itertools.product(("RNN", "LSTM", "GRU"), VARIANTS)
}  # fmt: skip
STEPS, BATCH, WIDTH, HIDDEN = 5, 3, 4, 3


def data(name):
    """Input, first states, what results are multiplied by, and weights by PyTorch's names."""
    kind, layers, bias, bi, first, _ = CASES[name]
    rng = np.random.RandomState(zlib.crc32(name.encode()) % 2**31)
    r = lambda *shape: rng.randn(*shape).astype("float32")  # noqa: E731
    n, rows = layers * (2 if bi else 1), {"RNN": 1, "LSTM": 4, "GRU": 3}[kind] * HIDDEN
    shape = (BATCH, STEPS) if first else (STEPS, BATCH)
    x, states = r(*shape, WIDTH), [r(n, BATCH, HIDDEN) for _ in range(2 if kind == "LSTM" else 1)]
    scales = [r(*shape, HIDDEN * (2 if bi else 1))] + [r(n, BATCH, HIDDEN) for _ in states]
    weights = {}
    for layer in range(layers):
        for suffix in ("", "_reverse")[: 2 if bi else 1]:
            width = WIDTH if layer == 0 else HIDDEN * (2 if bi else 1)
            weights[f"weight_ih_l{layer}{suffix}"] = r(rows, width)
            weights[f"weight_hh_l{layer}{suffix}"] = r(rows, HIDDEN)
            if bias:
                weights[f"bias_ih_l{layer}{suffix}"] = r(rows)
                weights[f"bias_hh_l{layer}{suffix}"] = r(rows)
    return x, states, scales, weights


def run_torch(name):
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    kind, layers, bias, bi, first, lengths = CASES[name]
    x, states, scales, weights = data(name)
    m = getattr(torch.nn, kind)(WIDTH, HIDDEN, layers, bias=bias, batch_first=first, bidirectional=bi)
    m.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})
    x = torch.tensor(x, requires_grad=True)
    states = [torch.tensor(s, requires_grad=True) for s in states]
    inp = x if lengths is None else pack_padded_sequence(x, torch.tensor(lengths), first, enforce_sorted=False)
    out, last = m(inp, tuple(states) if kind == "LSTM" else states[0])
    if lengths is not None:
        out = pad_packed_sequence(out, first)[0]
    last = list(last) if kind == "LSTM" else [last]
    sum((o * torch.tensor(s)).sum() for o, s in zip([out, *last], scales)).backward()
    grads = [x.grad, *(s.grad for s in states), *(dict(m.named_parameters())[k].grad for k in weights)]
    return [t.detach().numpy() for t in [out, *last, *grads]]


if __name__ == "__main__":
    out = {f"{name}/{i}": a for name in CASES for i, a in enumerate(run_torch(name))}
    np.savez_compressed(sys.argv[1], **out)
