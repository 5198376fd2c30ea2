"""Indexing of Tensors: ``x[index]`` and ``x[index] = value``.

An index is, per axis, a number, a slice, a vector or nested list of integers, or a mask of bools; ``None`` adds an axis,
``...`` stands for the axes that are not named. Numbers and the parts of slices may be Tensors. See ``_core.getitem``.
"""

from ..._core import getitem, setitem

__all__ = ["getitem", "setitem"]
