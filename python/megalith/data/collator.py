"""Collator: samples become a batch."""

import collections.abc
import re

import numpy as np

np_str_obj_array_pattern = re.compile(r"[aO]")
default_collate_err_msg_format = (
    "default_collator: inputs must contain numpy arrays, numbers, Unicode strings, bytes, dicts or lists; found {}"
)


class Collator:
    """Merges samples into a batch: arrays and numbers are stacked, structures keep their form.

    Examples:
        >>> import numpy as np
        >>> from megalith.data import Collator
        >>> image, label = Collator().apply([(np.zeros(3), 1), (np.ones(3), 2)])
        >>> image.shape, label.tolist()
        ((2, 3), [1, 2])
    """

    def apply(self, inputs):
        """The batch of a list of samples.

        Raises:
            TypeError: a sample holds something that can't be stacked.
        """
        first = inputs[0]
        if isinstance(first, np.ndarray):
            if first.dtype.kind in "SO":
                raise TypeError(default_collate_err_msg_format.format(first.dtype))
            return np.ascontiguousarray(np.stack(inputs))
        if isinstance(first, (str, bytes)):
            return inputs
        if isinstance(first, (np.generic, int)):
            return np.array(inputs)
        if isinstance(first, float):
            return np.array(inputs, dtype=np.float64)
        if isinstance(first, collections.abc.Mapping):
            return {key: self.apply([sample[key] for sample in inputs]) for key in first}
        if isinstance(first, tuple) and hasattr(first, "_fields"):
            return type(first)(*(self.apply(column) for column in zip(*inputs)))
        if isinstance(first, collections.abc.Sequence):
            return [self.apply(column) for column in zip(*inputs)]
        raise TypeError(default_collate_err_msg_format.format(type(first)))
