"""Batch normalization folded into the layer before it."""

from ...functional import ones, sqrt, zeros
from .module import QATModule


class FoldedBatchNorm(QATModule):
    """A layer and a batch normalization that compute as the one layer they will be once quantized.

    With `s = gamma / sqrt(var + eps)`: the weight is `s W`, the bias `beta + s (b - mean)`. In training the result is
    divided by `s` again and normalized with the batch's own mean and variance.

    Subclasses say which layer it is, how to call it and where its channels are.
    """

    _stat_axes = (0, 2, 3)

    def _layer(self):
        raise NotImplementedError

    def _calculate(self, inp, weight, bias):
        raise NotImplementedError

    def _per_channel(self, x):
        """A vector of values per channel in the shape of the statistics."""
        return x.reshape(1, -1, 1, 1)

    def _per_filter(self, x):
        """A vector of values per channel so that it multiplies the weight."""
        raise NotImplementedError

    def _channel_values(self, value, fill):
        return self._per_channel(fill((self.bn.num_features,), dtype="float32") if value is None else value)

    def _fold(self, bn_mean, bn_var):
        """Factor, folded weight and folded bias."""
        mean, var = self._channel_values(bn_mean, zeros), self._channel_values(bn_var, ones)
        gamma, beta = self._channel_values(self.bn.weight, ones), self._channel_values(self.bn.bias, zeros)
        istd = 1.0 / sqrt(var + self.bn.eps)
        factor = gamma * istd
        bias = self._channel_values(self._layer().bias, zeros)
        return factor, self._layer().weight * self._per_filter(factor), beta + gamma * (bias - mean) * istd

    def get_batch_mean_var(self, inp):
        """Mean and variance of every channel of a batch."""
        total, squares = inp, inp**2
        for axis in self._stat_axes:
            total = total.sum(axis=axis, keepdims=True)
            squares = squares.sum(axis=axis, keepdims=True)
        count = inp.size / inp._tuple_shape[1]
        return total / count, (squares - total**2 / count) / count

    def fold_weight_bias(self, bn_mean, bn_var):
        """The fake-quantized weight and the bias of the one layer.

        Args:
            bn_mean, bn_var: statistics of the batch normalization; 0 and 1 where they are None.
        """
        _, weight, bias = self._fold(bn_mean, bn_var)
        return self.apply_quant_weight(weight), bias

    def update_running_mean_and_running_var(self, bn_mean, bn_var, num_elements_per_channel):
        """Averages in a batch's statistics."""
        n, keep = num_elements_per_channel, self.bn.momentum
        for running, new in (
            (self.bn.running_mean, bn_mean.detach()),
            (self.bn.running_var, bn_var.detach() * n / (n - 1)),
        ):
            running *= keep
            running += (1 - keep) * new

    def _calc_qat(self, inp, approx):
        mean, var = self.bn.running_mean, self.bn.running_var
        if self.training and not approx:
            out = self._layer()(inp)
            mean, var = self.get_batch_mean_var(out)
            self.update_running_mean_and_running_var(mean, var, out.size / out._tuple_shape[1])
        normalize = self.training and approx
        factor, weight, bias = self._fold(mean, var)
        w_qat = self.apply_quant_weight(weight)
        b_qat = self.apply_quant_bias(None if normalize else bias, inp, w_qat)
        out = self._calculate(inp, w_qat, b_qat)
        if not normalize:
            return out
        out = out / factor
        if self._layer().bias is not None:
            out = out + self._per_channel(self._layer().bias)
        return self.bn(out)
