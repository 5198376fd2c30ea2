"""Recurrent networks as functions: one step (``*_cell``) and whole sequences.

Weights are either a list of tensors, `w_ih, w_hh, b_ih, b_hh` for every layer and direction (PyTorch's order), or one
packed tensor with the same numbers one after the other (MegEngine's). Gates stand in the order i, f, g, o (LSTM) and
r, z, n (GRU). All run on ops of the core; `.mge` files, which have no GRU, get it made of ops that they know.
"""

from typing import List, Optional, Sequence, Tuple, Union

import numpy as np

from .. import _ops
from .._errors import ArgumentError, require
from ..tensor import Tensor
from ._compose import (
    at,
    check_tensor,
    concat,
    dimshuffle,
    elwise,
    expand_dims,
    full,
    int_vector,
    is_tensor,
    part,
    reshape,
    shown,
    stack,
    take_rows,
)

__all__ = ["rnn_cell", "lstm_cell", "gru_cell", "rnn", "lstm", "gru"]

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def _check_cell(op, input, h, w_ih, w_hh, gates):
    check_tensor(op, input=input, hx=h, w_ih=w_ih, w_hh=w_hh)
    hidden = h._tuple_shape[-1] if h.ndim else 0
    fits = (
        input.ndim == 2 and h.ndim == 2 and w_ih.ndim == 2 and w_hh.ndim == 2 and h._tuple_shape[0] == input._tuple_shape[0]
        and w_ih._tuple_shape == (gates * hidden, input._tuple_shape[1]) and w_hh._tuple_shape == (gates * hidden, hidden)
    )  # fmt: skip
    require(
        fits,
        f"{op}: input has shape {input._tuple_shape}, hx {h._tuple_shape}, w_ih {w_ih._tuple_shape}, w_hh {w_hh._tuple_shape}",
    )


def _cell(op, function, input, h, w_ih, w_hh, b_ih, b_hh, gates, *more, **params):
    """Calls the op of a cell. What is wrong with its operands is looked for when it refuses them."""
    if b_ih is None:
        b_ih = full((1,), 0)
    if b_hh is None:
        b_hh = full((1,), 0)
    try:
        return function(input, w_ih, b_ih, h, w_hh, b_hh, *more, **params)
    except Exception:
        _check_cell(op, input, h, w_ih, w_hh, gates)
        raise


def rnn_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Optional[Tensor] = None,
    b_hh: Optional[Tensor] = None,
    nonlinearity: str = "tanh",
) -> Tensor:
    """One step of a recurrent network: `tanh(input @ w_ih.T + b_ih + hx @ w_hh.T + b_hh)`.

    Args:
        input: of shape `(N, I)`.
        hx: hidden state of shape `(N, H)`.
        w_ih, w_hh: of shapes `(H, I)` and `(H, H)`.
        b_ih, b_hh: of shape `(H,)`.
        nonlinearity: ``tanh`` or ``relu``.

    Returns:
        The next hidden state.

    Examples:
        >>> import megalith as mge, megalith.functional as F
        >>> one = mge.Tensor([[1.0]])
        >>> F.nn.rnn_cell(one, one, one, one, nonlinearity="relu")
        Tensor([[2.]], device=xpux:0)
    """
    mode = _nonlinearity("rnn_cell", nonlinearity)
    return _cell("rnn_cell", _ops.RNNCellForward, input, hx, w_ih, w_hh, b_ih, b_hh, 1, nonlineMode=mode)


def lstm_cell(
    input: Tensor,
    hx: Tuple[Tensor, Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Optional[Tensor] = None,
    b_hh: Optional[Tensor] = None,
) -> Tuple[Tensor, Tensor]:
    """One step of an LSTM.

    Args:
        input: of shape `(N, I)`.
        hx: hidden and cell state, of shape `(N, H)`.
        w_ih, w_hh: of shapes `(4 * H, I)` and `(4 * H, H)`.
        b_ih, b_hh: of shape `(4 * H,)`.

    Returns:
        The next hidden and cell state.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> zero, w = mge.Tensor([[0.0]]), mge.Tensor(np.ones((4, 1), "float32"))
        >>> F.nn.lstm_cell(mge.Tensor([[1.0]]), (zero, zero), w, w)[1].numpy().round(4)
        array([[0.5568]], dtype=float32)
    """
    h, c = hx
    h, c, _ = _cell("lstm_cell", _ops.LSTMCellForward, input, h, w_ih, w_hh, b_ih, b_hh, 4, c)
    return h, c


def gru_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Optional[Tensor] = None,
    b_hh: Optional[Tensor] = None,
) -> Tensor:
    """One step of a GRU: `r` and `z` decide what of the old state counts, `n` is the new one.

    Args:
        input: of shape `(N, I)`.
        hx: hidden state of shape `(N, H)`.
        w_ih, w_hh: of shapes `(3 * H, I)` and `(3 * H, H)`.
        b_ih, b_hh: of shape `(3 * H,)`; `b_hh` of `n` is inside the product with `r`, as in PyTorch.

    Returns:
        The next hidden state.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> w = mge.Tensor(np.ones((3, 1), "float32"))
        >>> F.nn.gru_cell(mge.Tensor([[1.0]]), mge.Tensor([[0.0]]), w, w).numpy().round(4)
        array([[0.2048]], dtype=float32)
    """
    return _cell("gru_cell", _ops.GRUCellForward, input, hx, w_ih, w_hh, b_ih, b_hh, 3)[0]


def _nonlinearity(op, name):
    if name == "tanh":
        return "TANH"
    text = str(name).lower()
    require(text in ("tanh", "relu", "identity"), f"{op}: nonlinearity is {shown(name)}, expected 'tanh' or 'relu'")
    return text.upper()


class _Layout:
    """Where the weights of each layer and direction lie in the packed tensor."""

    def __init__(self, kind, input_size, hidden, num_layers, bidirectional, bias):
        self.rows, self.hidden, self.layers, self.bias = GATES[kind] * hidden, hidden, num_layers, bias
        self.directions = 2 if bidirectional else 1
        self.input_sizes = [input_size] + [self.directions * hidden] * (num_layers - 1)

    def cell_size(self, layer):
        return self.rows * (self.input_sizes[layer] + self.hidden + (2 if self.bias else 0))

    def size(self):
        return self.directions * sum(self.cell_size(layer) for layer in range(self.layers))

    def start(self, layer, direction=0):
        before = self.directions * sum(self.cell_size(earlier) for earlier in range(layer))
        return before + (direction * self.cell_size(layer) if direction else 0)

    def shapes(self, layer):
        shapes = [(self.rows, self.input_sizes[layer]), (self.rows, self.hidden)]
        return shapes + [(self.rows,)] * 2 if self.bias else shapes

    def cell(self, packed, layer, direction):
        """w_ih, w_hh, b_ih, b_hh; None for biases that are not there."""
        begin, out = self.start(layer, direction), []
        for shape in self.shapes(layer):
            size = shape[0] * (shape[1] if len(shape) == 2 else 1)
            out.append(reshape(part(packed, 0, begin, begin + size), shape))
            begin += size
        return out if self.bias else [*out, None, None]


def pack_weights(weights: Union[Tensor, Sequence[Tensor]]) -> Tensor:
    """One vector of a packed tensor or of a list of tensors."""
    if is_tensor(weights):
        return weights if weights.ndim == 1 else reshape(weights, (weights.size,))
    return concat([w if w.ndim == 1 else reshape(w, (w.size,)) for w in weights], 0)


def _drop(x, probability):
    if probability == 1:
        return x * 0
    return _ops.Dropout(x, drop_prob=probability)[0]


def sequence_mask(lengths, steps: int) -> Tensor:
    """Ones where a step lies inside its sequence: float32 of shape `(steps, N, 1)`."""
    lengths = int_vector(lengths)
    n = lengths.size
    index = Tensor(list(range(steps)), dtype="int32") if steps else full((0,), 0, "int32")
    mask = elwise("LT", reshape(index, (steps, 1)), reshape(lengths, (1, n)))
    return reshape(mask.astype("float32"), (steps, n, 1))


def _walk(kind, x, states, cell, reverse, mask, nonlinearity):
    """One layer in one direction, step by step. Returns the outputs (T, N, H) and the last states."""
    steps = x._tuple_shape[0]
    outputs = [None] * steps
    for t in reversed(range(steps)) if reverse else range(steps):
        xt = at(x, 0, t)
        if kind == "gru":
            new = [gru_cell(xt, states[0], *cell)]
        elif kind == "lstm":
            new = list(lstm_cell(xt, states, *cell))
        else:
            new = [rnn_cell(xt, states[0], *cell, nonlinearity)]
        # a sequence that has ended keeps its state and gives zeros
        m = at(mask, 0, t)
        states = [old + m * (fresh - old) for old, fresh in zip(states, new)]
        outputs[t] = m * new[0]
    return stack(outputs, 0), states


def _fused(kind, x, states, packed, num_layers, bidirectional, bias, hidden, nonlinearity, dropout, training):
    params = dict(num_layers=num_layers, bidirectional=bidirectional, bias=bias, hidden_size=hidden, dropout=dropout,
                  fwd_mode="TRAINING" if training else "INFERENCE")  # fmt: skip
    if kind == "lstm":
        out, h, c, _ = _ops.LSTMForward(x, states[0], states[1], packed, **params)
        return out, [h, c]
    if kind == "gru":
        out, h, _ = _ops.GRUForward(x, states[0], packed, **params)
        return out, [h]
    out, h, _ = _ops.RNNForward(x, states[0], packed, nonlineMode=_nonlinearity("rnn", nonlinearity), **params)
    return out, [h]


class _Pack:
    """Where the steps of a pack lie (see PackedSequence): spans of steps that have equally many sequences."""

    def __init__(self, batch_sizes):
        sizes = np.asarray(batch_sizes, np.int64)
        ends = np.cumsum(sizes)
        self.batch = int(sizes[0])
        first = np.concatenate([[0], np.flatnonzero(np.diff(sizes)) + 1, [sizes.size]])
        # (first row, steps, sequences)
        self.spans = [(int(ends[a] - sizes[a]), int(b - a), int(sizes[a])) for a, b in zip(first[:-1], first[1:])]
        self.rows = int(ends[-1])
        self.backwards = np.concatenate([np.arange(e - n, e) for e, n in zip(ends[::-1], sizes[::-1])]).astype(np.int32)

    def reversed_spans(self):
        return [(self.rows - row - steps * n, steps, n) for row, steps, n in reversed(self.spans)]


def _run_pack(kind, data, spans, first, weights, settings):
    """One layer in one direction: its results, packed as ``data``, and the last states. States are `(1, N, H)`."""
    outputs, ended, width, now = [], [], data._tuple_shape[1], 0
    states = None
    for row, steps, n in spans:
        if states is None:
            states = [part(s, 1, 0, n) for s in first]
        elif n > now:
            states = [concat([s, part(f, 1, now, n)], 1) for s, f in zip(states, first)]
        elif n < now:
            ended.append([part(s, 1, n, now) for s in states])
            states = [part(s, 1, 0, n) for s in states]
        now = n
        x = reshape(part(data, 0, row, row + steps * n), (steps, n, width))
        out, states = _fused(kind, x, states, weights, 1, False, **settings)
        outputs.append(reshape(out, (steps * n, out._tuple_shape[2])))
    last = [concat(list(parts), 1) for parts in zip(states, *reversed(ended))]
    return concat(outputs, 0), last


def reorder(state, indices):
    """A state `(layers * directions, N, H)` with its sequences in another order; None leaves it."""
    if indices is None:
        return state
    index = Tensor(np.asarray(indices, np.int32))
    return dimshuffle(take_rows(dimshuffle(state, (1, 0, 2)), index), (1, 0, 2))


def run_pack(kind, data, batch_sizes, states, weights, num_layers, bias, dropout, training, bidirectional,
             nonlinearity="tanh"):  # fmt: skip
    """A whole network over a pack of sequences: its results, packed as ``data``, and the list of last states.

    Steps with equally many sequences run as one."""
    pack = _Pack(batch_sizes)
    require(
        data.ndim == 2 and data._tuple_shape[0] == pack.rows,
        f"{kind}: data of the pack has shape {data._tuple_shape}, expected ({pack.rows}, features)",
    )
    directions, hidden = 2 if bidirectional else 1, states[0]._tuple_shape[-1]
    want = (num_layers * directions, pack.batch, hidden)
    for s in states:
        require(s._tuple_shape == want, f"{kind}: hidden state has shape {s._tuple_shape}, expected {want}")
    layout = _Layout(kind, data._tuple_shape[1], hidden, num_layers, bidirectional, bias)
    packed = pack_weights(weights)
    if packed.size != layout.size():
        raise ArgumentError(
            f"{kind}: weights have {packed.size} numbers, data of shape {data._tuple_shape} needs {layout.size()}"
        )
    settings = dict(bias=bias, hidden=hidden, nonlinearity=nonlinearity, dropout=0, training=training)
    finals: List[list] = [[] for _ in states]
    if bidirectional:
        backwards = Tensor(pack.backwards)  # rows of the last step first, and how they get back
        forwards = Tensor(np.argsort(pack.backwards).astype(np.int32))
    out, cells = data, num_layers * directions
    for cell in range(cells):
        layer, direction = divmod(cell, directions)
        if direction == 0:
            x, parts = out, []
        mine = [part(s, 0, cell, cell + 1) for s in states] if cells > 1 else states
        piece = part(
            packed, 0, layout.start(layer, direction), layout.start(layer, direction) + layout.cell_size(layer)
        )
        if direction == 0:
            out, ends = _run_pack(kind, x, pack.spans, mine, piece if cells > 1 else packed, settings)
        else:
            out, ends = _run_pack(kind, take_rows(x, backwards), pack.reversed_spans(), mine, piece, settings)
            out = take_rows(out, forwards)
        parts.append(out)
        for final, end in zip(finals, ends):
            final.append(end)
        if direction + 1 == directions:
            out = concat(parts, 1) if directions > 1 else out
            if dropout and training and layer + 1 < num_layers:
                out = _drop(out, dropout)
    return out, [concat(f, 0) if cells > 1 else f[0] for f in finals]


def _check_run(kind, x, states, num_layers, dropout, bidirectional, batch_first):
    """Messages are made when they are needed only: this is a good part of a small network's time."""
    if not all(map(is_tensor, (x, *states))):
        check_tensor(kind, input=x, **{f"hx[{i}]": s for i, s in enumerate(states)})
    shape = x._tuple_shape
    if len(shape) != 3:
        raise ArgumentError(f"{kind}: input has shape {shape}, expected 3 dimensions")
    if not isinstance(num_layers, int) or num_layers < 1:
        raise ArgumentError(f"{kind}: num_layers is {shown(num_layers)}")
    if not 0 <= dropout <= 1:
        raise ArgumentError(f"{kind}: dropout is {dropout}, expected a number in [0, 1]")
    steps, batch = (shape[1], shape[0]) if batch_first else shape[:2]
    if steps <= 0:
        raise ArgumentError(f"{kind}: input has no steps")
    want = (num_layers * (2 if bidirectional else 1), batch)
    for s in states:
        have = s._tuple_shape
        if len(have) != 3 or have[:2] != want:
            raise ArgumentError(f"{kind}: hidden state has shape {have}, expected {want} and the size")


def run(kind, x, states, weights, num_layers, bias, dropout, training, bidirectional, batch_first, lengths,
        nonlinearity="tanh"):  # fmt: skip
    """A whole network over a batch of sequences; the outputs and the list of last states."""
    _check_run(kind, x, states, num_layers, dropout, bidirectional, batch_first)
    if batch_first:
        x = dimshuffle(x, (1, 0, 2))
    directions = 2 if bidirectional else 1
    steps, batch, width = x._tuple_shape
    hidden = states[0]._tuple_shape[2]
    layout = _Layout(kind, width, hidden, num_layers, bidirectional, bias)
    size = weights.size if is_tensor(weights) else sum(w.size for w in weights)
    if size != layout.size():
        shape = (batch, steps, width) if batch_first else (steps, batch, width)
        raise ArgumentError(f"{kind}: weights have {size} numbers, input of shape {shape} needs {layout.size()}")
    between = dropout if training and num_layers > 1 else 0
    known = None if lengths is None or is_tensor(lengths) else np.asarray(lengths)
    if known is not None and known.shape == (batch,) and known.dtype.kind in "iu" and known.min(initial=1) > 0:
        from ..utils.rnn import pack_padded_sequence, pad_packed_sequence

        pack = pack_padded_sequence(x, np.minimum(known, steps), enforce_sorted=False)
        states = [reorder(s, pack.sorted_indices) for s in states]
        data, last = run_pack(kind, pack.data, pack.batch_sizes, states, weights, num_layers, bias, dropout, training,
                              bidirectional, nonlinearity)  # fmt: skip
        out, _ = pad_packed_sequence(pack._replace(data=data), batch_first, total_length=steps)
        return out, [reorder(s, pack.unsorted_indices) for s in last]
    mask = None if lengths is None else sequence_mask(lengths, steps)
    if mask is not None:
        require(mask._tuple_shape[1] == batch, f"{kind}: {mask._tuple_shape[1]} lengths for {batch} sequences")

    if mask is None and not between:
        packed = weights if is_tensor(weights) else pack_weights(weights)
        out, last = _fused(
            kind, x, states, packed, num_layers, bidirectional, bias, hidden, nonlinearity, dropout, training
        )
    else:
        packed = pack_weights(weights)
        finals: List[list] = [[] for _ in states]
        out = x
        for layer in range(num_layers):
            begin = layer * directions
            if mask is None:
                mine = [part(s, 0, begin, begin + directions) for s in states]
                piece = part(packed, 0, layout.start(layer), layout.start(layer + 1))
                out, ends = _fused(kind, out, mine, piece, 1, bidirectional, bias, hidden, nonlinearity, 0, training)
                for final, end in zip(finals, ends):
                    final.append(end)
            else:
                parts = []
                for direction in range(directions):
                    mine = [at(s, 0, begin + direction) for s in states]
                    cell = layout.cell(packed, layer, direction)
                    o, ends = _walk(kind, out, mine, cell, direction == 1, mask, nonlinearity)
                    parts.append(o)
                    for final, end in zip(finals, ends):
                        final.append(expand_dims(end, 0))
                out = concat(parts, 2)
            if between and layer + 1 < num_layers:
                out = _drop(out, between)
        last = [concat(f, 0) for f in finals]
    if batch_first:
        out = dimshuffle(out, (1, 0, 2))
    return out, last


def rnn(
    input: Tensor,
    hx: Tensor,
    weights: Union[Tensor, Sequence[Tensor]],
    num_layers: int = 1,
    bias: bool = True,
    dropout: float = 0.0,
    training: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    nonlinearity: str = "tanh",
    lengths=None,
) -> Tuple[Tensor, Tensor]:
    """Layers of :func:`rnn_cell` over sequences.

    Args:
        input: of shape `(T, N, I)`, or `(N, T, I)` with ``batch_first``.
        hx: first states, of shape `(num_layers * directions, N, H)`.
        weights: a list of tensors or one packed tensor, see the module.
        dropout: probability of dropout between layers while ``training``.
        bidirectional: whether every layer also runs backwards; results are joined.
        nonlinearity: ``tanh`` or ``relu``.
        lengths: lengths of the sequences, `N` ints; results after the end are zero, last states are those of the end.

    Returns:
        Results of the last layer, of shape `(T, N, directions * H)`, and the last states of all.

    Raises:
        ValueError: shapes do not fit.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x, h, w = (mge.Tensor(np.ones(s, "float32")) for s in ((3, 1, 1), (1, 1, 1), (2,)))
        >>> F.nn.rnn(x, h, w, bias=False, nonlinearity="relu")[0].numpy().ravel()
        array([2., 3., 4.], dtype=float32)
    """
    out, last = run(
        "rnn",
        input,
        [hx],
        weights,
        num_layers,
        bias,
        dropout,
        training,
        bidirectional,
        batch_first,
        lengths,
        nonlinearity,
    )
    return out, last[0]


def lstm(
    input: Tensor,
    hx: Tuple[Tensor, Tensor],
    weights: Union[Tensor, Sequence[Tensor]],
    num_layers: int = 1,
    bias: bool = True,
    dropout: float = 0.0,
    training: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    lengths=None,
) -> Tuple[Tensor, Tuple[Tensor, Tensor]]:
    """Layers of :func:`lstm_cell` over sequences.

    Args:
        hx: first hidden and cell states, each of shape `(num_layers * directions, N, H)`.
        input, weights, num_layers, bias, dropout, training, bidirectional, batch_first, lengths: as in :func:`rnn`.

    Returns:
        Results of the last layer, and the last hidden and cell states of all.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x, h, w = (mge.Tensor(np.ones(s, "float32")) for s in ((3, 1, 1), (1, 1, 1), (8,)))
        >>> F.nn.lstm(x, (h, h), w, bias=False)[0].shape
        (3, 1, 1)
    """
    out, last = run(
        "lstm", input, list(hx), weights, num_layers, bias, dropout, training, bidirectional, batch_first, lengths
    )
    return out, tuple(last)


def gru(
    input: Tensor,
    hx: Tensor,
    weights: Union[Tensor, Sequence[Tensor]],
    num_layers: int = 1,
    bias: bool = True,
    dropout: float = 0.0,
    training: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    lengths=None,
) -> Tuple[Tensor, Tensor]:
    """Layers of :func:`gru_cell` over sequences.

    Args:
        hx: first states, of shape `(num_layers * directions, N, H)`.
        input, weights, num_layers, bias, dropout, training, bidirectional, batch_first, lengths: as in :func:`rnn`.

    Returns:
        Results of the last layer, and the last states of all.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x, h, w = (mge.Tensor(np.ones(s, "float32")) for s in ((3, 1, 1), (1, 1, 1), (6,)))
        >>> F.nn.gru(x, h, w, bias=False)[0].shape
        (3, 1, 1)
    """
    out, last = run(
        "gru", input, [hx], weights, num_layers, bias, dropout, training, bidirectional, batch_first, lengths
    )
    return out, last[0]
