"""Linear layers with batch normalization for quantization-aware training."""

from ...functional.nn import relu
from .. import linear_bn as Float
from ._fold import FoldedBatchNorm


class _LinearBnActivation1d(Float._LinearBnActivation1d, FoldedBatchNorm):
    _stat_axes = (0,)

    def _layer(self):
        return self.linear

    def _calculate(self, inp, weight, bias):
        return self.linear.calc_linear(inp, weight, bias)

    def _per_channel(self, x):
        return x.reshape(-1)

    def _per_filter(self, x):
        return x.reshape(-1, 1)

    def calc_linear_bn_qat(self, inp, approx=True):
        """The linear layer and batch normalization, fake-quantized.

        Args:
            inp: inputs.
            approx: in training, fold the running statistics instead of the batch's own.
        """
        return self._calc_qat(inp, approx)

    @classmethod
    def from_float_module(cls, float_module: Float._LinearBnActivation1d):
        """The layer of a float one; they share parameters."""
        m, bn = float_module.linear, float_module.bn
        out = cls(m.in_features, m.out_features, m.bias is not None, m.compute_mode, bn.eps, bn.momentum, bn.affine,
                  bn.track_running_stats, name=float_module.name)  # fmt: skip
        out.linear.weight, out.linear.bias = m.weight, m.bias
        out.bn = bn
        return out


class LinearBn1d(_LinearBnActivation1d):
    """:class:`megalith.module.LinearBn1d` as a :class:`QATModule`."""

    def forward(self, inp):
        return self.apply_quant_activation(self.calc_linear_bn_qat(inp))


class LinearBnRelu1d(_LinearBnActivation1d):
    """:class:`megalith.module.LinearBnRelu1d` as a :class:`QATModule`."""

    def forward(self, inp):
        return self.apply_quant_activation(relu(self.calc_linear_bn_qat(inp)))
