"""Recurrent networks."""

import math
import numbers
from abc import abstractmethod
from typing import Optional, Tuple

import numpy as np

from .._errors import ArgumentError
from ..functional import _rnn as F
from ..functional._compose import full, stack
from ..tensor import Parameter, Tensor
from ..utils.rnn import PackedSequence
from . import init
from .module import Module


class RNNCellBase(Module):
    """Weights of one step: ``num_chunks`` gates of ``hidden_size``."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self.gate_hidden_size = num_chunks * hidden_size
        self.weight_ih = Parameter(np.zeros((self.gate_hidden_size, input_size), dtype=np.float32))
        self.weight_hh = Parameter(np.zeros((self.gate_hidden_size, hidden_size), dtype=np.float32))
        kind = Parameter if bias else Tensor  # without biases, zeros stand in their place
        self.bias_ih = kind(np.zeros((self.gate_hidden_size,), dtype=np.float32))
        self.bias_hh = kind(np.zeros((self.gate_hidden_size,), dtype=np.float32))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights, uniformly within one over the root of the hidden size."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _zeros(self, input):
        return full((input._tuple_shape[0], self.hidden_size), 0)

    @abstractmethod
    def forward(self, input: Tensor, hx: Optional[Tensor] = None) -> Tensor:
        raise NotImplementedError

    def _module_info_string(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(RNNCellBase):
    """One step of a recurrent network: `tanh(W_ih x + b_ih + W_hh h + b_hh)`.

    Args:
        input_size, hidden_size: size of input and state.
        bias: whether there are biases.
        nonlinearity: ``tanh`` or ``relu``.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> M.RNNCell(10, 20)(mge.Tensor(np.zeros((3, 10), "float32"))).shape
        (3, 20)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
    ) -> None:
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, bias, num_chunks=1)

    def forward(self, input: Tensor, hx: Optional[Tensor] = None) -> Tensor:
        hx = self._zeros(input) if hx is None else hx
        return F.rnn_cell(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, self.nonlinearity)


class LSTMCell(RNNCellBase):
    """One step of an LSTM.

    Args:
        input_size, hidden_size: size of input and states.
        bias: whether there are biases.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> h, c = M.LSTMCell(10, 20)(mge.Tensor(np.zeros((3, 10), "float32")))
        >>> h.shape, c.shape
        ((3, 20), (3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=4)

    def forward(self, input: Tensor, hx: Optional[Tuple[Tensor, Tensor]] = None) -> Tuple[Tensor, Tensor]:
        hx = (self._zeros(input), self._zeros(input)) if hx is None else hx
        return F.lstm_cell(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)


class GRUCell(RNNCellBase):
    """One step of a GRU, as PyTorch defines it; MegEngine has none.

    Args:
        input_size, hidden_size: size of input and state.
        bias: whether there are biases.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> M.GRUCell(10, 20)(mge.Tensor(np.zeros((3, 10), "float32"))).shape
        (3, 20)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=3)

    def forward(self, input: Tensor, hx: Optional[Tensor] = None) -> Tensor:
        hx = self._zeros(input) if hx is None else hx
        return F.gru_cell(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)


class RNNBase(Module):
    """What all recurrent networks have: their sizes and one packed Parameter with all weights.

    The Parameter holds, for each layer and direction, `W_ih`, `W_hh` and, with ``bias``, `b_ih` and `b_hh`, row by row.
    """

    _kind = ""
    _keeps_cells = True  # MegEngine's state dicts have the cells that the sizes come from

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0,
        bidirectional: bool = False,
        proj_size: int = 0,
    ) -> None:
        super().__init__()
        if isinstance(dropout, bool) or not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1:
            raise ArgumentError(
                f"{type(self).__name__}: dropout is {dropout!r}, expected a probability between 0 and 1"
            )
        if proj_size < 0:
            raise ArgumentError(f"{type(self).__name__}: proj_size is {proj_size}, expected 0")
        if proj_size >= hidden_size:
            raise ArgumentError(f"{type(self).__name__}: proj_size is {proj_size}, but hidden_size only {hidden_size}")
        if proj_size:
            raise ArgumentError(f"{type(self).__name__}: projections (proj_size={proj_size}) are not supported")
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if size < 1:
                raise ArgumentError(f"{type(self).__name__}: {name} is {size}, expected at least 1")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.num_directions = 2 if bidirectional else 1
        self.proj_size = proj_size
        if self._keeps_cells:
            self.cells = [[self.create_cell(layer) for _ in range(self.num_directions)] for layer in range(num_layers)]
        rows = F.GATES[self._kind] * hidden_size
        self._flatten_weights = Parameter(np.zeros((rows, self._layout().size() // rows), dtype=np.float32))
        self.reset_parameters()

    def _layout(self):
        return F._Layout(self._kind, self.input_size, self.hidden_size, self.num_layers, self.bidirectional, self.bias)

    def reset_parameters(self) -> None:
        """Draws new weights, uniformly within one over the root of the hidden size."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    @abstractmethod
    def create_cell(self, layer):
        """A cell of a layer."""
        raise NotImplementedError

    def _cell_input(self, layer):
        return self.input_size if layer == 0 else self.num_directions * self.hidden_size

    def init_hidden(self, batch_size):
        """First states: zeros."""
        return full((self.num_directions * self.num_layers, batch_size, self.hidden_size), 0)

    def _first_states(self, batch_size):
        return self.init_hidden(batch_size)

    def get_output_from_hidden(self, hx):
        """The part of a state that is the output."""
        return hx

    def _apply_fn_to_hx(self, hx, fn):
        return fn(hx)

    def _stack_h_n(self, h_n):
        return stack(h_n, axis=0)

    def _settings(self, lengths):
        return dict(num_layers=self.num_layers, bias=self.bias, dropout=self.dropout, training=self.training,
                    bidirectional=self.bidirectional, lengths=lengths)  # fmt: skip

    @abstractmethod
    def apply_op(self, input, hx, lengths=None):
        """Outputs and last states of sequences of shape `(T, N, I)`."""
        raise NotImplementedError

    def forward(self, input: Tensor, hx=None, lengths=None):
        """Runs over sequences.

        Args:
            input: of shape `(T, N, input_size)`, or `(N, T, input_size)` with ``batch_first``, or a
                :class:`megalith.utils.rnn.PackedSequence`.
            hx: first states, of shape `(num_layers * directions, N, hidden_size)`; zeros by default.
            lengths: lengths of the sequences, `N` ints.

        Returns:
            Outputs of the last layer, packed if the input was, and the last states.
        """
        if isinstance(input, PackedSequence):
            if hx is None:
                hx = self._first_states(int(input.batch_sizes[0]))
            else:
                hx = self._apply_fn_to_hx(hx, lambda h: F.reorder(h, input.sorted_indices))
            settings = self._settings(None)
            del settings["lengths"]
            data, last = F.run_pack(self._kind, input.data, input.batch_sizes, hx if isinstance(hx, tuple) else (hx,),
                                    self._flatten_weights, nonlinearity=getattr(self, "nonlinearity", "tanh"),
                                    **settings)  # fmt: skip
            h = self._apply_fn_to_hx(tuple(last) if len(last) > 1 else last[0],
                                     lambda h: F.reorder(h, input.unsorted_indices))  # fmt: skip
            return input._replace(data=data), h
        if input.ndim != 3:
            raise ArgumentError(f"{type(self).__name__}: input has shape {input._tuple_shape}, expected 3 dimensions")
        if self.batch_first:
            input = F.dimshuffle(input, (1, 0, 2))
        if hx is None:
            hx = self._first_states(input._tuple_shape[1])
        output, h = self.apply_op(input, hx, lengths)
        if self.batch_first:
            output = F.dimshuffle(output, (1, 0, 2))
        return output, h

    def _module_info_string(self) -> str:
        s = f"{self.input_size}, {self.hidden_size}"
        for name, plain in (
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0.0),
            ("bidirectional", False),
        ):
            if getattr(self, name) != plain:
                s += f", {name}={getattr(self, name)}"
        return s

    def __repr__(self):
        return f"{type(self).__name__}({self._module_info_string()})"


class RNN(RNNBase):
    """Layers of :class:`RNNCell` over sequences.

    Args:
        input_size, hidden_size: size of input and state.
        num_layers: number of layers.
        bias: whether there are biases.
        batch_first: whether input and output are `(N, T, ...)` instead of `(T, N, ...)`.
        dropout: probability of dropout after every layer but the last while training.
        bidirectional: whether every layer also runs backwards.
        proj_size: 0; projections are not supported.
        nonlinearity: ``tanh`` or ``relu``, by name.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> m = M.RNN(10, 20, 2, bidirectional=True, nonlinearity="relu")
        >>> out, h = m(mge.Tensor(np.zeros((6, 30, 10), "float32")))
        >>> out.shape, h.shape
        ((6, 30, 40), (4, 30, 20))
    """

    _kind = "rnn"

    def __init__(self, *args, **kwargs) -> None:
        self.nonlinearity = kwargs.pop("nonlinearity", "tanh")
        F._nonlinearity("RNN", self.nonlinearity)
        super().__init__(*args, **kwargs)

    def create_cell(self, layer):
        return RNNCell(self._cell_input(layer), self.hidden_size, self.bias, self.nonlinearity)

    def apply_op(self, input, hx, lengths=None):
        return F.rnn(input, hx, self._flatten_weights, nonlinearity=self.nonlinearity, **self._settings(lengths))


class LSTM(RNNBase):
    """Layers of :class:`LSTMCell` over sequences; arguments as in :class:`RNN`, states are pairs `(h, c)`.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> out, (h, c) = M.LSTM(10, 20, 2, batch_first=True)(mge.Tensor(np.zeros((3, 6, 10), "float32")))
        >>> out.shape, h.shape, c.shape
        ((3, 6, 20), (2, 3, 20), (2, 3, 20))
    """

    _kind = "lstm"

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)

    def create_cell(self, layer):
        return LSTMCell(self._cell_input(layer), self.hidden_size, self.bias)

    def init_hidden(self, batch_size):
        return super().init_hidden(batch_size), super().init_hidden(batch_size)

    def _first_states(self, batch_size):
        if type(self).init_hidden is not LSTM.init_hidden:
            return self.init_hidden(batch_size)
        zeros = super().init_hidden(batch_size)  # the op writes to neither
        return zeros, zeros

    def get_output_from_hidden(self, hx):
        return hx[0]

    def apply_op(self, input, hx, lengths=None):
        return F.lstm(input, hx, self._flatten_weights, **self._settings(lengths))

    def _apply_fn_to_hx(self, hx, fn):
        return fn(hx[0]), fn(hx[1])

    def _stack_h_n(self, h_n):
        return stack([h for h, _ in h_n], axis=0), stack([c for _, c in h_n], axis=0)


class GRU(RNNBase):
    """Layers of :class:`GRUCell` over sequences; arguments as in :class:`RNN`. MegEngine has none; PyTorch's meaning.

    Examples:
        >>> import numpy as np, megalith as mge, megalith.module as M
        >>> out, h = M.GRU(10, 20)(mge.Tensor(np.zeros((6, 3, 10), "float32")))
        >>> out.shape, h.shape
        ((6, 3, 20), (1, 3, 20))
    """

    _kind = "gru"
    _keeps_cells = False

    def create_cell(self, layer):
        return GRUCell(self._cell_input(layer), self.hidden_size, self.bias)

    def apply_op(self, input, hx, lengths=None):
        return F.gru(input, hx, self._flatten_weights, **self._settings(lengths))
