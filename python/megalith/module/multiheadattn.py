"""Multi-head attention."""

from typing import Optional

import numpy as np

from .._errors import require
from ..functional.nn import multi_head_attention
from ..tensor import Parameter, Tensor
from .init import xavier_uniform_
from .module import Module


class MultiHeadAttention(Module):
    """Attention of queries to keys and values, in several heads, with all weights in one Parameter.

    Args:
        embed_dim: width of queries and of the result.
        num_heads: number of heads, which divides ``embed_dim``.
        attn_dropout, out_dropout: dropout of the attention weights and of the result while training.
        bias: whether projections have biases.
        add_bias_kv, add_zero_attn: False; nothing else is supported, as in MegEngine.
        kdim, vdim: width of keys and values; ``embed_dim`` by default.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> x = mge.Tensor(np.ones((2, 5, 8), "float32"))
        >>> M.MultiHeadAttention(8, 2)(x, x, x)[0].shape
        (2, 5, 8)
    """

    def __init__(
        self,
        embed_dim,
        num_heads,
        attn_dropout=0.0,
        out_dropout=0.0,
        bias=True,
        add_bias_kv=False,
        add_zero_attn=False,
        kdim=None,
        vdim=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.embed_dim = embed_dim
        self.kdim = kdim if kdim is not None else embed_dim
        self.vdim = vdim if vdim is not None else embed_dim
        self.add_bias_kv = add_bias_kv
        self.add_zero_attn = add_zero_attn
        self.num_heads = num_heads
        self.attn_dropout = attn_dropout
        self.out_dropout = out_dropout
        self.head_dim = embed_dim // num_heads
        require(
            self.head_dim * num_heads == embed_dim, f"MultiHeadAttention: {num_heads} heads don't divide {embed_dim}"
        )
        require(not add_bias_kv, "MultiHeadAttention: add_bias_kv is not supported")
        require(not add_zero_attn, "MultiHeadAttention: add_zero_attn is not supported")
        self.bias = bias
        self._weight_len = (embed_dim + self.kdim + self.vdim + embed_dim) * embed_dim
        self.weight_bias_len = self._weight_len + (4 * embed_dim if bias else 0)
        self.io_weight_bias = Parameter(np.zeros((1, self.weight_bias_len), dtype="float32"))
        self.bias_k = self.bias_v = None
        self.reset_parameters()

    def reset_parameters(self):
        """Draws new weights; biases are 0."""
        xavier_uniform_(self.io_weight_bias)
        if self.bias:
            values = self.io_weight_bias.numpy()
            values[0, self._weight_len :] = 0
            self.io_weight_bias.set_value(values)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Optional[Tensor] = None,
        attn_mask: Optional[Tensor] = None,
        need_weights: bool = False,
        average_attn_weights: bool = False,
        is_causal: bool = False,
        maybe_cudnn_style_mask: bool = False,
    ):
        """See :func:`megalith.functional.nn.multi_head_attention`."""
        size, bias = self.embed_dim, self.bias
        return multi_head_attention(
            query,
            key,
            value,
            size,
            self.num_heads,
            self.attn_dropout,
            self.out_dropout,
            self.io_weight_bias,
            qproj_size=size,
            kproj_size=size,
            vproj_size=size,
            oproj_size=size,
            qbias=bias,
            kbias=bias,
            vbias=bias,
            obias=bias,
            bias_k=self.bias_k,
            bias_v=self.bias_v,
            add_zero_attn=self.add_zero_attn,
            key_padding_mask=key_padding_mask,
            attn_mask=attn_mask,
            need_weights=need_weights,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            maybe_cudnn_style_mask=maybe_cudnn_style_mask,
            training=self.training,
        )

    def _module_info_string(self) -> str:
        return (
            f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, attn_dropout={self.attn_dropout}, "
            f"out_dropout={self.out_dropout}, bias={self.bias}, kdim={self.kdim}, vdim={self.vdim}"
        )
