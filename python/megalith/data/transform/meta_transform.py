"""What transforms are made of."""

from abc import ABC, abstractmethod
from typing import Sequence, Tuple


class Transform(ABC):
    """Base class of transforms: subclasses define :meth:`apply`."""

    def apply_batch(self, inputs: Sequence[Tuple]):
        """The transformed samples."""
        return tuple(self.apply(one) for one in inputs)

    @abstractmethod
    def apply(self, input: Tuple):
        """A transformed sample."""

    def __repr__(self):
        return type(self).__name__


class PseudoTransform(Transform):
    """Leaves samples as they are."""

    def apply(self, input: Tuple):
        """The sample."""
        return input
