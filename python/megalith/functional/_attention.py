"""Multi-head attention."""

from typing import Optional

import numpy as np

from .. import _core, _ops
from .._errors import require
from ..tensor import Tensor
from ._compose import broadcast_to, check_tensor, elwise, expand_dims, reduce, reshape, squeeze

__all__ = ["multi_head_attention"]

_OP = "multi_head_attention"


def _float_mask(mask, like, name):
    """A mask to add: True becomes minus infinity, which is log(1 - True)."""
    if mask is None:
        return None
    if mask.dtype == np.bool_:
        return _core.astype(elwise("LOG", 1.0 - mask.astype("float32")), like._dtype)
    require(mask.dtype.kind == "f", f"{_OP}: {name} has type {mask.dtype}, expected bool or floating point")
    return mask


def _merged_mask(attn_mask, key_padding_mask, query, keys, num_heads, is_causal):
    """What is added to the scores, (L, S) or (N * heads, L, S), or None."""
    n, length, _ = query._tuple_shape
    attn_mask = _float_mask(attn_mask, query, "attn_mask")
    key_padding_mask = _float_mask(key_padding_mask, query, "key_padding_mask")
    if attn_mask is not None:
        fits = tuple(attn_mask._tuple_shape) in ((length, keys), (n * num_heads, length, keys))
        require(
            fits,
            f"{_OP}: attn_mask has shape {attn_mask._tuple_shape}, expected {(length, keys)}, perhaps {n * num_heads} times",
        )
    if key_padding_mask is not None:
        require(
            tuple(key_padding_mask._tuple_shape) == (n, keys),
            f"{_OP}: key_padding_mask has shape {key_padding_mask._tuple_shape}, expected {(n, keys)}",
        )
        spread = broadcast_to(reshape(key_padding_mask, (n, 1, 1, keys)), (n, num_heads, length, keys))
        spread = reshape(spread, (n * num_heads, length, keys))
        return spread if attn_mask is None else spread + attn_mask
    if attn_mask is None and is_causal:
        return _core.astype(Tensor(np.triu(np.full((length, keys), -np.inf, np.float32), 1)), query._dtype)
    return attn_mask


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
    check_tensor(_OP, query=query, key=key, value=value, io_weight_bias=io_weight_bias)
    sizes = [embed_dim if s is None else s for s in (qproj_size, kproj_size, vproj_size, oproj_size)]
    for name, size, bias in zip(("query", "key", "value", "output"), sizes, (qbias, kbias, vbias, obias)):
        require(not bias or size > 0, f"{_OP}: the {name} projection has a bias but no weight")
    for name, wrong in (
        ("add_zero_attn", add_zero_attn),
        ("bias_k", bias_k is not None),
        ("bias_v", bias_v is not None),
        ("reslink", reslink),
        ("maybe_cudnn_style_mask", maybe_cudnn_style_mask),
    ):
        require(not wrong, f"{_OP}: {name} is not supported")
    require(
        query.ndim in (2, 3) and key.ndim == query.ndim and value.ndim == query.ndim,
        f"{_OP}: query, key and value have shapes {query._tuple_shape}, {key._tuple_shape} and {value._tuple_shape}",
    )
    batched = query.ndim == 3
    if not batched:
        query, key, value = (expand_dims(t, 0) for t in (query, key, value))
        if key_padding_mask is not None and key_padding_mask.ndim == 1:
            key_padding_mask = expand_dims(key_padding_mask, 0)
    n, length, _ = query._tuple_shape
    keys = key._tuple_shape[1]
    mask = _merged_mask(attn_mask, key_padding_mask, query, keys, num_heads, is_causal)
    head = embed_dim if sizes[0] == 0 else embed_dim // num_heads
    kind = (
        "NO_MASK" if mask is None else "DEFAULT_MASK" if is_causal and key_padding_mask is None else "USER_DEFINED_MASK"
    )
    out, weights, *_ = _ops.MultiHeadAttn(
        query,
        key,
        value,
        io_weight_bias,
        *([] if mask is None else [mask]),
        num_heads=num_heads,
        embeding_size=embed_dim,
        k_size=key._tuple_shape[2],
        v_size=value._tuple_shape[2],
        qproj_size=sizes[0],
        kproj_size=sizes[1],
        vproj_size=sizes[2],
        oproj_size=sizes[3],
        qbias=qbias,
        kbias=kbias,
        vbias=vbias,
        obias=obias,
        sm_scaler=head**-0.5,
        attn_mask_type=kind,
        tensor_combination_type="NONE" if mask is None else "ONLY_MASK",
        need_weights=need_weights,
        training=training,
        attn_prob=attn_drop,
        out_prob=out_drop,
    )
    if average_attn_weights:
        weights = reduce(reshape(weights, (n, num_heads, length, keys)), "MEAN", 1)
    if not batched:
        out = squeeze(out, 0)
        weights = squeeze(weights, 0) if average_attn_weights else weights
    return out, weights if need_weights else None
