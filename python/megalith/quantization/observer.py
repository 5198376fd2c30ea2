"""Modules that watch values and find scales and zero points."""

from abc import abstractmethod
from copy import deepcopy
from typing import Union

import numpy as np

from .. import functional as F
from .._errors import require
from ..core.tensor.dtype import QuantDtypeMeta
from ..module import Module
from ..tensor import Tensor
from .fake_quant import _check_same_meta, _quant_meta
from .utils import QParams, QParamsModuleMixin, QuantMode, create_qparams


class Observer(Module, QParamsModuleMixin):
    """What observers have: they return their input and remember what they need of it.

    Args:
        dtype: the quantized type or its name.
    """

    def __init__(self, dtype: Union[str, QuantDtypeMeta], **kwargs):
        super().__init__()
        self.dtype = _quant_meta(type(self).__name__, dtype, kwargs)
        self.qmin = self.dtype.qmin
        self.qmax = self.dtype.qmax
        self.enabled = True

    def enable(self):
        """Makes it observe."""
        self.enabled = True

    def disable(self):
        """Stops it from observing."""
        self.enabled = False

    def train(self, mode: bool = True, recursive: bool = True) -> None:
        """Enables it in training mode, disables it otherwise."""
        super().train(mode, recursive)
        (self.enable if mode else self.disable)()

    @abstractmethod
    def forward(self, x):
        pass


class MinMaxObserver(Observer):
    """Remembers the least and the largest value.

    Args:
        mode: symmetric or not.
        eps: the least scale.
        dtype: the quantized type or its name.

    Examples:
        >>> import megalith as mge, megalith.quantization as Q
        >>> observer = Q.MinMaxObserver(dtype="qint8_narrow")
        >>> _ = observer(mge.Tensor([-1.0, 2.54]))
        >>> round(observer.get_qparams().scale.item(), 6)
        0.02
    """

    def __init__(
        self,
        mode: QuantMode = QuantMode.SYMMERTIC,
        eps: float = 0.00001,
        dtype: Union[str, QuantDtypeMeta] = "qint8",
        **kwargs,
    ):
        super().__init__(dtype, **kwargs)
        self.mode = mode
        self.min_val = Tensor(np.finfo(np.float32).max, dtype=np.float32)
        self.max_val = Tensor(np.finfo(np.float32).min, dtype=np.float32)
        self.scale_limit = eps

    def _calculate_qparams(self, inp_min_val, inp_max_val):
        """Parameters for values between two limits, 0 included."""
        low, high = F.minimum(0.0, inp_min_val), F.maximum(0.0, inp_max_val)
        steps = self.qmax - self.qmin
        if self.mode == QuantMode.SYMMERTIC:
            scale = F.maximum(F.maximum(-low, high) / (steps / 2), self.scale_limit)
            zero_point = None
        else:
            scale = F.maximum((high - low) / steps, self.scale_limit)
            zero_point = self.qmin - F.round(low / scale)
        return create_qparams(self.mode, self.dtype, scale=scale, zero_point=zero_point)

    def get_qparams(self):
        return self._calculate_qparams(self.min_val, self.max_val)

    def forward(self, x_orig):
        if self.enabled:
            x = x_orig.detach()
            self.min_val[...] = F.minimum(self.min_val, x.min())
            self.max_val[...] = F.maximum(self.max_val, x.max())
        return x_orig


class SyncMinMaxObserver(MinMaxObserver):
    """:class:`MinMaxObserver` over all processes; there is one process, and it observes even when disabled.

    Args:
        mode: symmetric or not.
        eps: the least scale.
        dtype: the quantized type or its name.
    """

    def forward(self, x_orig):
        x = x_orig.detach()
        self.min_val[...] = F.minimum(self.min_val, x.min())
        self.max_val[...] = F.maximum(self.max_val, x.max())
        return x_orig


class ExponentialMovingAverageObserver(MinMaxObserver):
    """Averages the least and the largest value of every step.

    Args:
        momentum: weight of the past; the first step has none.
        mode: symmetric or not.
        eps: the least scale.
        dtype: the quantized type or its name.
    """

    def __init__(
        self,
        momentum: float = 0.9,
        mode: QuantMode = QuantMode.SYMMERTIC,
        eps: float = 0.00001,
        dtype: Union[str, QuantDtypeMeta] = "qint8",
        **kwargs,
    ):
        super().__init__(mode, eps, dtype, **kwargs)
        self.momentum = Tensor(momentum, dtype="float32")
        self.runtime_momentum = Tensor(0.0)  # 0 in the first step: a traced graph can't branch on it

    def set_momentum(self, momentum):
        """Changes the weight of the past."""
        self.momentum = Tensor(momentum, dtype="float32")

    def forward(self, x_orig):
        if self.enabled:
            x = x_orig.detach()
            old = self.runtime_momentum
            self.min_val[...] = self.min_val * old + (1 - old) * x.min()
            self.max_val[...] = self.max_val * old + (1 - old) * x.max()
            self.runtime_momentum[...] = self.momentum
        return x_orig


class SyncExponentialMovingAverageObserver(ExponentialMovingAverageObserver):
    """:class:`ExponentialMovingAverageObserver` over all processes, of which there is one.

    Args:
        momentum: weight of the past; the first step has none.
        mode: symmetric or not.
        eps: the least scale.
        dtype: the quantized type or its name.
    """


class HistogramObserver(MinMaxObserver):
    """Keeps a histogram of all values and cuts off its ends where that makes the squared error least.

    Args:
        bins: size of the histogram.
        upsample_rate: how finely a histogram is divided to be moved to another range.
        mode: symmetric or not.
        eps: the least scale.
        dtype: the quantized type or its name.
    """

    def __init__(
        self,
        bins: int = 2048,
        upsample_rate: int = 128,
        mode: QuantMode = QuantMode.SYMMERTIC,
        eps: float = 0.00001,
        dtype: Union[str, QuantDtypeMeta] = "qint8",
        **kwargs,
    ):
        super().__init__(mode, eps, dtype, **kwargs)
        self.bins = bins
        self.upsample_rate = upsample_rate
        self.dst_nbins = self.qmax - self.qmin + 1
        self.histogram = Tensor([-1] + [0.0] * (bins - 1), dtype="float32")

    def _range(self):
        """The observed limits and their distance, which is of single precision."""
        low, high = np.float32(self.min_val.item()), np.float32(self.max_val.item())
        return low, high, float(high - low)

    def _squared_error(self, start, end, bin_width, density):
        """Error of quantizing bins ``start`` to ``end`` with the values spread evenly in each bin.

        A bin reaches over one or several cells of the grid; `density * x^3 / 3` is the integral of the error from a
        cell's center.
        """
        cell = bin_width * (end - start + 1) / self.dst_nbins
        if cell == 0.0:
            return 0.0
        begin = (np.arange(self.bins) - start) * bin_width
        stop = begin + bin_width
        first, last = (np.clip(np.floor(x / cell), 0.0, self.dst_nbins - 1) for x in (begin, stop))

        def norm(a, b):
            return density * ((b * b * b - a * a * a) / 3)

        from_first = begin - (first * cell + cell / 2)
        to_last = stop - (last * cell + cell / 2)
        inside = first == last
        parts = np.zeros((self.bins, 3))
        parts[:, 0] = norm(from_first, np.where(inside, to_last, cell / 2))
        parts[:, 1] = np.where(inside, 0.0, (last - first - 1) * norm(-cell / 2, cell / 2))
        parts[:, 2] = np.where(inside, 0.0, norm(-cell / 2, to_last))
        return np.cumsum(parts)[-1]  # one after another

    def _non_linear_param_search(self):
        """The limits that make the error least, found by moving them inward quantile by quantile."""
        _, _, distance = self._range()
        histogram = self.histogram.numpy()
        require(len(histogram) == self.bins, f"HistogramObserver: {len(histogram)} bins of {self.bins} are there")
        bin_width = distance / self.bins
        density = np.divide(histogram.astype(np.float64), bin_width) if bin_width else np.zeros(self.bins)
        below = np.cumsum(histogram, dtype=histogram.dtype)
        total = np.cumsum(histogram.astype(np.float64))[-1]
        step = 1e-5
        count = int(1 / step) + 2
        low = np.cumsum(np.full(count, step))
        high = np.subtract.accumulate(np.r_[1.0, np.full(count, step)])[1:]
        left_bins = np.searchsorted(below, low * total, side="left").tolist()
        right_bins = (np.searchsorted(below, high * total, side="right") - 1).tolist()

        alpha, beta, start, end = 0.0, 1.0, 0, self.bins - 1
        moved_low = moved_high = 0
        least = float("inf")
        while alpha < beta:
            left = max(start, min(left_bins[moved_low], end))
            right = min(end, max(right_bins[moved_high], start))
            next_start, next_end = start, end
            if left - start > end - right:
                next_start, alpha = left, low[moved_low]
                moved_low += 1
            else:
                next_end, beta = right, high[moved_high]
                moved_high += 1
            if (next_start, next_end) == (start, end):
                continue
            error = self._squared_error(next_start, next_end, bin_width, density)
            if error > least:
                break
            least, start, end = error, next_start, next_end
        return (
            self.min_val + Tensor(bin_width * start, dtype=np.float32),
            self.min_val + Tensor(bin_width * (end + 1), dtype=np.float32),
        )

    def get_qparams(self):
        return self._calculate_qparams(*self._non_linear_param_search())

    def _combine_histograms(self, orig_hist, new_hist, upsample_rate, downsample_rate, start_idx, Nbins):
        """``orig_hist`` plus ``new_hist`` of a smaller range, which begins at the fine bin ``start_idx``."""
        fine = np.zeros(Nbins * downsample_rate)
        fine[start_idx : Nbins * upsample_rate + start_idx] = new_hist.repeat(upsample_rate)
        below = np.cumsum(fine)[downsample_rate - 1 :: downsample_rate]
        return orig_hist + np.diff(below, prepend=0.0) / upsample_rate

    def _adjust_min_max(self, combined_min, combined_max, upsample_rate):
        """Widens a range so that it consists of whole fine bins; how many make a new bin, and where the old ones are."""
        low, _, distance = self._range()
        fine_width = distance / (self.bins * upsample_rate)
        wanted = float(np.float32(combined_max) - np.float32(combined_min))
        downsample_rate = int(np.ceil(wanted / (self.bins * fine_width)))
        excess = downsample_rate * (self.bins * fine_width) - wanted
        combined_max = float(combined_max) + excess / 2
        combined_min = float(combined_min) - excess / 2
        start_idx = int(np.round((float(low) - combined_min) / fine_width))
        return combined_min, combined_max, downsample_rate, start_idx

    def sideeffect_forward(self, x_orig):
        """Adds the values of a tensor."""
        x = x_orig.numpy()
        old = self.histogram.numpy()
        new_min, new_max = x.min(), x.max()
        if old[0] == -1:
            new, _ = np.histogram(x, self.bins, (new_min, new_max))
        else:
            low, high, _ = self._range()
            new_min, new_max, downsample_rate, start = self._adjust_min_max(
                min(new_min, low), max(new_max, high), self.upsample_rate
            )
            new, _ = np.histogram(x, self.bins, (new_min, new_max))
            new = new.astype(np.float64)
            if new_min == low and new_max == high:
                new += old
            else:
                new = self._combine_histograms(new, old, self.upsample_rate, downsample_rate, start, self.bins)
        self.histogram = Tensor(new, dtype="float32")
        self.min_val = Tensor(new_min, dtype="float32")
        self.max_val = Tensor(new_max, dtype="float32")

    def forward(self, x_orig):
        self.sideeffect_forward(x_orig)
        return x_orig


class PassiveObserver(Observer):
    """Observes nothing: its :attr:`scale` is set.

    Args:
        dtype: the quantized type or its name.
    """

    def __init__(self, dtype: Union[str, QuantDtypeMeta], **kwargs):
        super().__init__(dtype, **kwargs)
        self.qparams = None
        self.orig_scale = None

    @property
    def scale(self):
        """The scale of its parameters."""
        return self.qparams.scale

    @scale.setter
    def scale(self, value: np.ndarray):
        assert np.all(value > 0), f"PassiveObserver: scale is {value}, expected more than 0"
        self.qparams.scale[...] = Tensor(value)

    def get_qparams(self):
        return self.qparams

    def set_qparams(self, qparams: QParams):
        """Starts from a copy of ``qparams``."""
        self.qparams = deepcopy(qparams)
        if qparams.scale is None:
            raise AssertionError("PassiveObserver needs an initial scale, and the parameters have none")
        if qparams.dtype_meta is None:
            self.qparams.dtype_meta = qparams.dtype_meta = self.dtype
        else:
            _check_same_meta("PassiveObserver", qparams, self.dtype)
        self.orig_scale = qparams.scale.numpy()

    def forward(self, x):
        return x
