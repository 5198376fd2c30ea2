"""Sequences of different lengths, and weights of other frameworks' recurrent networks."""

from typing import NamedTuple, Optional, Sequence

import numpy as np

from .._errors import require
from ..functional._compose import concat, dimshuffle, full, is_tensor, reshape, take_rows
from ..tensor import Tensor

__all__ = ["PackedSequence", "pack_padded_sequence", "pad_packed_sequence", "pad_sequence", "pack_sequence",
           "load_torch_weights", "to_torch_weights", "load_keras_weights"]  # fmt: skip


class PackedSequence(NamedTuple):
    """Sequences without padding: the first steps of all, then the second steps of those that have one, and so on.

    Attributes:
        data: of shape `(sum of lengths, *)`.
        batch_sizes: how many sequences each step has.
        sorted_indices: the order, longest first, in which the sequences stand; None if they came sorted.
        unsorted_indices: the order that undoes it.
    """

    data: Tensor
    batch_sizes: np.ndarray
    sorted_indices: Optional[np.ndarray] = None
    unsorted_indices: Optional[np.ndarray] = None


def take(x, indices):
    """Rows of a tensor of any shape."""
    return take_rows(x, Tensor(np.asarray(indices, np.int32)))


def _lengths(lengths):
    values = lengths.numpy() if is_tensor(lengths) else np.asarray(lengths)
    values = values.reshape(-1).astype(np.int64)
    require(values.size > 0 and values.min() > 0, f"lengths are {values.tolist()}, expected positive numbers")
    return values


def pack_padded_sequence(
    input: Tensor, lengths, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Takes the padding out of sequences.

    Args:
        input: of shape `(T, N, *)`, or `(N, T, *)` with ``batch_first``.
        lengths: `N` positive ints.
        enforce_sorted: whether lengths have to descend; otherwise sequences are sorted.

    Raises:
        ValueError: lengths do not fit.

    Examples:
        >>> import megalith as mge
        >>> from megalith.utils.rnn import pack_padded_sequence
        >>> packed = pack_padded_sequence(mge.Tensor([[1.0, 4.0], [2.0, 0.0]]), [2, 1])
        >>> packed.data.numpy().tolist(), packed.batch_sizes.tolist()
        ([1.0, 4.0, 2.0], [2, 1])
    """
    lengths = _lengths(lengths)
    if batch_first:
        input = dimshuffle(input, (1, 0, *range(2, input.ndim)))
    steps, batch = int(input._tuple_shape[0]), int(input._tuple_shape[1])
    require(
        lengths.size == batch and lengths.max() <= steps,
        f"lengths are {lengths.tolist()} for input of shape {input._tuple_shape}",
    )
    order = inverse = None
    if not (np.diff(lengths) <= 0).all():
        require(not enforce_sorted, f"lengths {lengths.tolist()} do not descend, but enforce_sorted is set")
        order = np.argsort(-lengths, kind="stable")
        inverse = np.argsort(order)
    columns = np.arange(batch) if order is None else order
    rows, sizes = [], []
    for t in range(int(lengths.max())):
        alive = columns[lengths[columns] > t]
        sizes.append(len(alive))
        rows.append(t * batch + alive)
    flat = reshape(input, (steps * batch, *input._tuple_shape[2:]))
    return PackedSequence(take(flat, np.concatenate(rows)), np.array(sizes), order, inverse)


def unpack(packed: PackedSequence):
    """Padded sequences `(T, N, *)`, in the packed order, and their lengths."""
    sizes = np.asarray(packed.batch_sizes)
    batch = int(sizes[0])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    total = int(starts[-1])
    index = np.full((len(sizes), batch), total, np.int32)
    for t, size in enumerate(sizes):
        index[t, :size] = starts[t] + np.arange(size)
    rest = packed.data._tuple_shape[1:]
    padded = take(concat([packed.data, full((1, *rest), 0)], 0), index.reshape(-1))
    return reshape(padded, (len(sizes), batch, *rest)), (index != total).sum(0)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: Optional[int] = None
):
    """Undoes :func:`pack_padded_sequence`.

    Args:
        sequence: what it returned, or what a recurrent network made of it.
        batch_first: whether the result is `(N, T, *)`.
        padding_value: what stands after the ends.
        total_length: number of steps of the result; by default that of the longest sequence.

    Returns:
        Padded sequences and their lengths.

    Examples:
        >>> import megalith as mge
        >>> from megalith.utils.rnn import pack_padded_sequence, pad_packed_sequence
        >>> x, lengths = pad_packed_sequence(pack_padded_sequence(mge.Tensor([[1.0, 4.0], [2.0, 9.0]]), [2, 1]))
        >>> x.numpy().tolist(), lengths.tolist()
        ([[1.0, 4.0], [2.0, 0.0]], [2, 1])
    """
    padded, lengths = unpack(sequence)
    rest = padded._tuple_shape[2:]
    if total_length is not None:
        extra = total_length - int(padded._tuple_shape[0])
        require(
            extra >= 0, f"total_length is {total_length}, but the longest sequence has {padded._tuple_shape[0]} steps"
        )
        if extra:
            padded = concat([padded, full((extra, *padded._tuple_shape[1:]), 0)], 0)
    if padding_value != 0:
        ended = (np.arange(padded._tuple_shape[0])[:, None] >= lengths).astype(np.float32) * np.float32(padding_value)
        padded = padded + reshape(Tensor(ended), (*ended.shape, *(1,) * len(rest)))
    if sequence.unsorted_indices is not None:
        padded = dimshuffle(take(dimshuffle(padded, (1, 0, *range(2, padded.ndim))), sequence.unsorted_indices),
                            (1, 0, *range(2, padded.ndim)))  # fmt: skip
        lengths = lengths[sequence.unsorted_indices]
    return dimshuffle(padded, (1, 0, *range(2, padded.ndim))) if batch_first else padded, lengths


def pad_sequence(sequences: Sequence[Tensor], batch_first: bool = False, padding_value: float = 0.0) -> Tensor:
    """Puts sequences `(L, *)` of different lengths into one tensor `(T, N, *)`.

    Examples:
        >>> import megalith as mge
        >>> from megalith.utils.rnn import pad_sequence
        >>> pad_sequence([mge.Tensor([1.0, 2.0]), mge.Tensor([3.0])], batch_first=True)
        Tensor([[1. 2.]
         [3. 0.]], device=xpux:0)
    """
    from ..functional._compose import stack

    longest = max(int(s._tuple_shape[0]) for s in sequences)
    rows = [
        s
        if s._tuple_shape[0] == longest
        else concat([s, full((longest - s._tuple_shape[0], *s._tuple_shape[1:]), padding_value, s.dtype)], 0)
        for s in sequences
    ]
    return stack(rows, 0 if batch_first else 1)


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs sequences `(L, *)` of different lengths."""
    return pack_padded_sequence(
        pad_sequence(sequences), [s._tuple_shape[0] for s in sequences], enforce_sorted=enforce_sorted
    )


def _array(value):
    if hasattr(value, "detach") and not is_tensor(value):  # a PyTorch tensor
        value = value.detach().cpu()
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value, np.float32)


def _store(module, cells):
    """Writes arrays (w_ih, w_hh, b_ih, b_hh) per layer and direction into a network."""
    layout = module._layout()
    flat, at = [], 0
    for layer in range(module.num_layers):
        for _ in range(module.num_directions):
            for array, shape in zip(cells[at], layout.shapes(layer)):
                require(array.shape == shape, f"layer {layer} has weights of shape {array.shape}, expected {shape}")
                flat.append(array.reshape(-1))
            at += 1
    module._flatten_weights.set_value(np.concatenate(flat).reshape(module._flatten_weights._tuple_shape))


def load_torch_weights(module, state_dict, prefix: str = ""):
    """Takes over the weights of PyTorch's RNN, LSTM or GRU, or of a cell.

    Args:
        module: a network or cell of the same sizes.
        state_dict: PyTorch's state dict, of tensors or arrays.
        prefix: what its keys begin with, such as ``"encoder.rnn."``.

    Raises:
        KeyError: a weight is missing.
        ValueError: a weight has another shape.

    Examples:
        >>> import numpy as np, megalith.module as M
        >>> from megalith.utils.rnn import load_torch_weights, to_torch_weights
        >>> a, b = M.GRU(2, 3), M.GRU(2, 3)
        >>> load_torch_weights(a, to_torch_weights(b))
        >>> bool((a._flatten_weights.numpy() == b._flatten_weights.numpy()).all())
        True
    """
    names = ["weight_ih", "weight_hh"] + (["bias_ih", "bias_hh"] if module.bias else [])
    if not hasattr(module, "num_layers"):
        for name in names:
            var, value = getattr(module, name), _array(state_dict[prefix + name])
            require(var.shape == value.shape, f"{name} has shape {value.shape}, expected {var.shape}")
            var.set_value(value)
        return
    cells = []
    for layer in range(module.num_layers):
        for direction in range(module.num_directions):
            suffix = f"_l{layer}" + ("_reverse" if direction else "")
            cells.append([_array(state_dict[prefix + name + suffix]) for name in names])
    _store(module, cells)


def to_torch_weights(module, prefix: str = "") -> dict:
    """The weights of a network by the names that PyTorch gives them."""
    names = ["weight_ih", "weight_hh"] + (["bias_ih", "bias_hh"] if module.bias else [])
    if not hasattr(module, "num_layers"):
        return {prefix + name: getattr(module, name).numpy() for name in names}
    layout, out = module._layout(), {}
    flat, at = module._flatten_weights.numpy().reshape(-1), 0
    for layer in range(module.num_layers):
        for direction in range(module.num_directions):
            for name, shape in zip(names, layout.shapes(layer)):
                size = int(np.prod(shape))
                out[f"{prefix}{name}_l{layer}" + ("_reverse" if direction else "")] = flat[at : at + size].reshape(
                    shape
                )
                at += size
    return out


def load_keras_weights(module, weights):
    """Takes over the weights of Keras' SimpleRNN, LSTM or GRU layers.

    Args:
        module: a network of the same sizes.
        weights: what the layers' ``get_weights()`` return, one after the other; for a Bidirectional layer the forward
            weights come first. A GRU has to have been made with ``reset_after=True``, Keras' default.

    Raises:
        ValueError: a weight has another shape, or the GRU was made with ``reset_after=False``.

    Examples:
        >>> import numpy as np, megalith.module as M
        >>> from megalith.utils.rnn import load_keras_weights
        >>> load_keras_weights(M.LSTM(2, 3), [np.zeros((2, 12)), np.zeros((3, 12)), np.zeros(12)])
    """
    weights = [_array(w) for w in weights]
    each = 3 if module.bias else 2
    count = module.num_layers * module.num_directions
    require(len(weights) == each * count, f"got {len(weights)} weights, expected {each * count}")
    hidden = module.hidden_size
    cells = []
    for i in range(0, len(weights), each):
        kernel, recurrent = weights[i].T, weights[i + 1].T
        biases = []
        if module.bias:
            bias = weights[i + 2]
            if module._kind == "gru":
                require(bias.ndim == 2, "the GRU was made with reset_after=False, which has another meaning")
                biases = [bias[0], bias[1]]
            else:
                biases = [bias, np.zeros_like(bias)]
        arrays = [kernel, recurrent, *biases]
        if module._kind == "gru":  # Keras' gates are z, r, n
            order = np.concatenate(
                [np.arange(hidden, 2 * hidden), np.arange(hidden), np.arange(2 * hidden, 3 * hidden)]
            )
            arrays = [a[order] for a in arrays]
        cells.append(arrays)
    _store(module, cells)
