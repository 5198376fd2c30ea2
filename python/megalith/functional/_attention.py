"""Multi-head attention, composed of matrix products and softmax."""

from typing import Optional

import numpy as np

from .. import _core, _ops
from .._errors import require
from ..tensor import Tensor
from ._compose import broadcast_to, check_tensor, dimshuffle, elwise, expand_dims, part, reduce, reshape, squeeze

__all__ = ["multi_head_attention"]

_OP = "multi_head_attention"


def _project(x, weights, begin, size, bias_begin):
    """x (N, L, in) times a matrix that lies at `begin` of the packed weights, plus a bias at `bias_begin`."""
    n, length, width = x.shape
    matrix = reshape(part(weights, 0, begin, begin + width * size), (width, size))
    out = _ops.MatrixMul(reshape(x, (n * length, width)), matrix)
    if bias_begin is not None:
        out = out + part(weights, 0, bias_begin, bias_begin + size)
    return reshape(out, (n, length, size))


def _heads(x, num_heads, projected):
    """(N, L, E) to (N * heads, L, E / heads); without a projection every head sees all of it."""
    n, length, width = x.shape
    if not projected:
        x = broadcast_to(expand_dims(x, 1), (n, num_heads, length, width))
        return reshape(x, (n * num_heads, length, width))
    x = dimshuffle(reshape(x, (n, length, num_heads, width // num_heads)), (0, 2, 1, 3))
    return reshape(x, (n * num_heads, length, width // num_heads))


def _float_mask(mask, like, name):
    """A mask to add: True becomes minus infinity, which is log(1 - True)."""
    if mask is None:
        return None
    if mask.dtype == np.bool_:
        return _core.astype(elwise("LOG", 1.0 - mask.astype("float32")), like._dtype)
    require(mask.dtype.kind == "f", f"{_OP}: {name} has type {mask.dtype}, expected bool or floating point")
    return mask


def multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim: int,
    num_heads: int,
    attn_drop: float,
    out_drop: float,
    io_weight_bias: Optional[Tensor],
    qproj_size: Optional[int] = None,
    kproj_size: Optional[int] = None,
    vproj_size: Optional[int] = None,
    oproj_size: Optional[int] = None,
    qbias: bool = False,
    kbias: bool = False,
    vbias: bool = False,
    obias: bool = False,
    bias_k: Optional[Tensor] = None,
    bias_v: Optional[Tensor] = None,
    add_zero_attn: bool = False,
    key_padding_mask: Optional[Tensor] = None,
    attn_mask: Optional[Tensor] = None,
    need_weights: bool = False,
    average_attn_weights: bool = False,
    is_causal: bool = False,
    maybe_cudnn_style_mask: bool = False,
    reslink: bool = False,
    training: bool = True,
):
    """Attention of queries to keys and values, in several heads.

    Args:
        query: of shape `(N, L, E)`, or `(L, E)` for one sequence.
        key, value: of shapes `(N, S, EK)` and `(N, S, EV)`, or without `N`.
        embed_dim: width of projections whose size is not given.
        num_heads: number of heads, which divides the projection sizes.
        attn_drop, out_drop: dropout of the attention weights and of the result while ``training``.
        io_weight_bias: all weights in one: those of query, key, value and output, each `(in, out)`, then their biases.
        qproj_size, kproj_size, vproj_size, oproj_size: sizes of projections; 0 for none, None for ``embed_dim``.
        qbias, kbias, vbias, obias: which biases there are.
        key_padding_mask: of shape `(N, S)`: True where a key is ignored, or numbers that are added to the scores.
        attn_mask: of shape `(L, S)` or `(N * num_heads, L, S)`, bool or numbers likewise.
        need_weights: whether to return the attention weights.
        average_attn_weights: whether these are averaged over heads.
        is_causal: whether a query sees no later key; used when there is no mask.
        bias_k, bias_v, add_zero_attn, reslink, maybe_cudnn_style_mask: not supported, as in MegEngine without cuDNN.

    Returns:
        The result of shape `(N, L, oproj_size)` and, with ``need_weights``, weights of shape `(N * num_heads, L, S)` or
        `(N, L, S)`; None in their place without.

    Raises:
        ValueError: shapes do not fit, or an argument is not supported.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.functional as F
        >>> x = mge.Tensor(np.ones((1, 3, 2), "float32"))
        >>> w = mge.Tensor(np.concatenate([np.eye(2).ravel()] * 4).astype("float32"))
        >>> F.nn.multi_head_attention(x, x, x, 2, 1, 0.0, 0.0, w)[0].numpy()[0, 0]
        array([1., 1.], dtype=float32)
    """
    check_tensor(_OP, query=query, key=key, value=value)
    sizes = [embed_dim if s is None else s for s in (qproj_size, kproj_size, vproj_size, oproj_size)]
    for name, size, bias in zip(("query", "key", "value", "output"), sizes, (qbias, kbias, vbias, obias)):
        require(not bias or size > 0, f"{_OP}: the {name} projection has a bias but no weight")
    for name, wrong in (("add_zero_attn", add_zero_attn), ("bias_k", bias_k is not None), ("bias_v", bias_v is not None),
                        ("reslink", reslink), ("maybe_cudnn_style_mask", maybe_cudnn_style_mask)):  # fmt: skip
        require(not wrong, f"{_OP}: {name} is not supported")
    require(query.ndim in (2, 3), f"{_OP}: query has shape {query.shape}, expected 2 or 3 dimensions")
    require(key.ndim == query.ndim and value.ndim == query.ndim,
            f"{_OP}: query, key and value have shapes {query.shape}, {key.shape} and {value.shape}")  # fmt: skip
    batched = query.ndim == 3
    if not batched:
        query, key, value = (expand_dims(t, 0) for t in (query, key, value))
        if key_padding_mask is not None and key_padding_mask.ndim == 1:
            key_padding_mask = expand_dims(key_padding_mask, 0)
    n, length, width = query.shape
    keys = key.shape[1]
    require(key.shape[0] == n and value.shape[:2] == key.shape[:2],
            f"{_OP}: query, key and value have shapes {query.shape}, {key.shape} and {value.shape}")  # fmt: skip

    # Projections, in the order in which they are packed.
    widths = [width, key.shape[2], value.shape[2]]
    value_width = sizes[2] if sizes[2] else value.shape[2] * num_heads
    widths.append(value_width)
    counts = [w * s for w, s in zip(widths, sizes)]
    starts = np.concatenate([[0], np.cumsum(counts)])
    bias_starts, at = [], int(starts[4])
    for size, bias in zip(sizes, (qbias, kbias, vbias, obias)):
        bias_starts.append(at if bias else None)
        at += size if bias else 0
    if at:
        require(io_weight_bias is not None and io_weight_bias.size == at,
                f"{_OP}: io_weight_bias has {getattr(io_weight_bias, 'size', 0)} numbers, expected {at}")  # fmt: skip
        packed = reshape(io_weight_bias, (at,))
    tensors = []
    for i, t in enumerate((query, key, value)):
        if sizes[i]:
            require(sizes[i] % num_heads == 0, f"{_OP}: {num_heads} heads don't divide {sizes[i]}")
            t = _project(t, packed, int(starts[i]), sizes[i], bias_starts[i])
        tensors.append(_heads(t, num_heads, bool(sizes[i])))
    q, k, v = tensors

    head = embed_dim if sizes[0] == 0 else embed_dim // num_heads
    scores = _ops.BatchedMatrixMul(q * head**-0.5, k, transposeB=True)
    attn_mask = _float_mask(attn_mask, query, "attn_mask")
    key_padding_mask = _float_mask(key_padding_mask, query, "key_padding_mask")
    if attn_mask is not None:
        fits = tuple(attn_mask.shape) in ((length, keys), (n * num_heads, length, keys))
        require(fits, f"{_OP}: attn_mask has shape {attn_mask.shape}, expected {(length, keys)} or {(n * num_heads, length, keys)}")
        scores = scores + attn_mask
    if key_padding_mask is not None:
        require(tuple(key_padding_mask.shape) == (n, keys),
                f"{_OP}: key_padding_mask has shape {key_padding_mask.shape}, expected {(n, keys)}")  # fmt: skip
        spread = broadcast_to(reshape(key_padding_mask, (n, 1, 1, keys)), (n, num_heads, 1, keys))
        scores = scores + reshape(spread, (n * num_heads, 1, keys))
    if is_causal and attn_mask is None and key_padding_mask is None:
        hidden = np.triu(np.full((length, keys), -np.inf, np.float32), 1)
        scores = scores + _core.astype(Tensor(hidden), scores._dtype)
    weights = _ops.Softmax(scores, axis=2)
    dropped = _ops.Dropout(weights, drop_prob=attn_drop)[0] if training and attn_drop else weights
    out = _ops.BatchedMatrixMul(dropped, v)
    out = dimshuffle(reshape(out, (n, num_heads, length, value_width // num_heads)), (0, 2, 1, 3))
    out = reshape(out, (n, length, value_width))
    if sizes[3]:
        out = _project(out, packed, int(starts[3]), sizes[3], bias_starts[3])
    if training and out_drop:
        out = _ops.Dropout(out, drop_prob=out_drop)[0]
    if average_attn_weights:
        weights = reduce(reshape(weights, (n, num_heads, length, keys)), "MEAN", 1)
    if not batched:
        out = squeeze(out, 0)
        weights = squeeze(weights, 0) if average_attn_weights else weights
    return out, weights if need_weights else None
