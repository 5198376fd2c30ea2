"""Variables and operators of graphs."""

import numpy as np

from .. import _core
from ..core.tensor import dtype as _dtype
from ..core.tensor.array_method import ArrayMethodMixin
from ..device import CompNode, as_device

__all__ = ["VarNode"]


class VarNode(_core.TensorBase, ArrayMethodMixin):
    """A value in a graph. Every function that takes Tensors takes graph variables and extends their graph."""

    @property
    def graph(self):
        """The graph that it belongs to."""
        return _core.var_graph(self)

    @property
    def id(self) -> int:
        """Its number in the graph."""
        return _core.var_id(self)

    @property
    def owner(self):
        """The operator that makes it."""
        return _core.var_node(self)

    @property
    def name(self) -> str:
        """Its name in dumps."""
        return _core.var_name(self)

    @name.setter
    def name(self, name: str):
        _core.set_var_name(self, name)

    @property
    def shape(self):
        """Its shape for the declared inputs, or None where it depends on data."""
        return self._tuple_shape if _core.var_known(self) else None

    @property
    def dtype(self) -> np.dtype:
        """Its element type."""
        return _dtype.to_numpy(self._dtype)

    @property
    def device(self) -> CompNode:
        """The device that computes it."""
        return as_device(None)

    def numpy(self) -> np.ndarray:
        """Its value, where it is known without running the graph.

        Raises:
            ValueError: it is not.
        """
        return self._numpy()

    def detach(self):
        """Itself."""
        return self

    def __eq__(self, other):
        # Comparing makes a graph value only with operands; identity is for dicts and lists.
        if isinstance(other, VarNode):
            return self.graph is other.graph and self.id == other.id
        return ArrayMethodMixin.__eq__(self, other)

    def __hash__(self):
        return hash((id(self.graph), self.id))

    def __bool__(self):
        return bool(self.item())

    def __repr__(self):
        known = f", shape={self.shape}, dtype={self.dtype}" if _core.var_known(self) else ""
        return f"VarNode({self.name or self.id}{known})"
