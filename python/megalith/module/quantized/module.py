"""The base of quantized layers."""

from abc import abstractmethod

from ..._errors import ArgumentError
from ...core.tensor import dtype
from ...tensor import Parameter
from ..module import Module
from ..qat import QATModule


class QuantizedModule(Module):
    """A layer that computes with integers; :func:`megalith.quantization.quantize` makes them of QAT layers.

    Raises:
        ValueError: it is called in training mode.

    Examples:
        >>> import megalith as mge, megalith.module as M
        >>> from megalith.quantization import ema_fakequant_qconfig, quantize, quantize_qat
        >>> net = M.Sequential(M.QuantStub(), M.Linear(2, 1), M.DequantStub())
        >>> net = quantize_qat(net, ema_fakequant_qconfig)
        >>> out = net(mge.Tensor([[1.0, 2.0]]))  # the observers have seen something
        >>> net.eval()
        >>> net = quantize(net)
        >>> net.eval()
        >>> net[1].weight.dtype.name, net(mge.Tensor([[1.0, 2.0]])).shape
        ('int8', (1, 1))
    """

    def __call__(self, *inputs, **kwargs):
        if self.training:
            raise ArgumentError("quantized module only support inference.")
        return super().__call__(*inputs, **kwargs)

    def __repr__(self):
        return "Quantized." + super().__repr__()

    @classmethod
    @abstractmethod
    def from_qat_module(cls, qat_module: QATModule):
        """The layer of a QAT one."""


def quantized_parameter(weight, qat_module: QATModule, like) -> Parameter:
    """``weight`` in the weight type that a QAT layer found, with the name of ``like``."""
    return Parameter(weight.astype(qat_module.get_weight_dtype()).numpy(), name=like.name)


def bias_dtype(inp, weight):
    """The type of a bias that is added to products of ``inp`` and ``weight``."""
    return dtype.qint32(dtype.get_scale(inp.dtype) * dtype.get_scale(weight.dtype))
