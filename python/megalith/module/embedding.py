"""Embedding."""

from typing import Optional

import numpy as np

from .._errors import ArgumentError
from ..functional.nn import embedding as embedding_func
from ..tensor import Parameter
from . import init
from .module import Module


class Embedding(Module):
    """A table whose rows are looked up by number.

    Args:
        num_embeddings, embedding_dim: rows and columns of the table.
        padding_idx, max_norm, norm_type: None; nothing else is supported, as in MegEngine.
        initial_weight: the table; drawn from a normal distribution by default.
        freeze: whether the table gets no gradient.

    Examples:
        >>> import megalith as mge, megalith.module as M
        >>> M.Embedding(10, 3)(mge.Tensor([1, 4])).shape
        (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: Optional[int] = None,
        max_norm: Optional[float] = None,
        norm_type: Optional[float] = None,
        initial_weight: Parameter = None,
        freeze: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if padding_idx is not None:
            raise ArgumentError("Embedding: padding_idx is not supported")
        if max_norm is not None or norm_type is not None:
            raise ArgumentError("Embedding: max_norm and norm_type are not supported")
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.freeze = freeze
        if initial_weight is None:
            self.weight = Parameter(np.zeros((num_embeddings, embedding_dim), np.float32))
            self.reset_parameters()
        else:
            if tuple(initial_weight._tuple_shape) != (num_embeddings, embedding_dim):
                raise ArgumentError(f"Embedding: initial_weight has shape {initial_weight._tuple_shape}, "
                                 f"expected {(num_embeddings, embedding_dim)}")  # fmt: skip
            self.weight = Parameter(initial_weight.numpy())

    def reset_parameters(self) -> None:
        """Draws a new table."""
        init.normal_(self.weight)

    def forward(self, inputs):
        return embedding_func(inputs, self.weight.detach() if self.freeze else self.weight)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Parameter,
        freeze: Optional[bool] = True,
        padding_idx: Optional[int] = None,
        max_norm: Optional[float] = None,
        norm_type: Optional[float] = None,
    ):
        """An Embedding with the table ``embeddings``, which gets no gradient unless ``freeze`` is False."""
        if len(embeddings._tuple_shape) != 2:
            raise ArgumentError(f"Embedding: embeddings have shape {embeddings._tuple_shape}, expected 2 dimensions")
        rows, columns = embeddings._tuple_shape
        return cls(num_embeddings=rows, embedding_dim=columns, initial_weight=embeddings, padding_idx=padding_idx,
                   max_norm=max_norm, norm_type=norm_type, freeze=freeze)  # fmt: skip
