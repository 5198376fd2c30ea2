"""The base of layers for quantization-aware training."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from ...tensor import Tensor
from ..module import Module

if TYPE_CHECKING:  # megalith.quantization imports this package
    from ...quantization.fake_quant import FakeQuantize
    from ...quantization.observer import Observer
    from ...quantization.qconfig import QConfig


class QATModule(Module):
    """A layer that observes and fake-quantizes its weight and its result.

    :func:`megalith.quantization.quantize_qat` makes them of float layers, :func:`megalith.quantization.quantize` makes
    quantized layers of them.

    Examples:
        >>> import megalith as mge, megalith.module as M
        >>> from megalith.quantization import ema_fakequant_qconfig, quantize_qat
        >>> net = M.Sequential(M.QuantStub(), M.Conv2d(1, 2, 3), M.DequantStub())
        >>> net = quantize_qat(net, ema_fakequant_qconfig)
        >>> net[1]
        QAT.Conv2d(
          1, 2, kernel_size=(3, 3)
          (act_observer): ExponentialMovingAverageObserver()
          (act_fake_quant): FakeQuantize()
          (weight_observer): MinMaxObserver()
          (weight_fake_quant): FakeQuantize()
        )
    """

    with_weight = True
    with_act = True

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.weight_observer = None
        self.act_observer = None
        self.weight_fake_quant = None
        self.act_fake_quant = None

    def __repr__(self):
        return "QAT." + super().__repr__()

    def set_qconfig(self, qconfig: QConfig):
        """Makes observers and fake quantizers as ``qconfig`` says."""
        for which in ("act", "weight"):
            if getattr(self, f"with_{which}"):
                for part in (f"{which}_observer", f"{which}_fake_quant"):
                    kind = getattr(qconfig, part)
                    setattr(self, part, None if kind is None else kind())

    def _switch(self, part, enable):
        for which in ("act", "weight"):
            module = getattr(self, f"{which}_{part}")
            if getattr(self, f"with_{which}") and module:
                (module.enable if enable else module.disable)()

    def set_fake_quant(self, enable):
        """Starts or stops its fake quantizers."""
        self._switch("fake_quant", enable)

    def set_observer(self, enable):
        """Starts or stops its observers."""
        self._switch("observer", enable)

    def _apply_fakequant_with_observer(self, target: Tensor, fake_quant: FakeQuantize, observer: Observer):
        out, qparams = target, None
        if observer is not None:
            out = observer(target)
            qparams = observer.get_qparams()
        if fake_quant is not None:
            out = fake_quant(out, qparams)
            if hasattr(fake_quant, "get_qparams"):  # it learns them
                qparams = fake_quant.get_qparams()
        if qparams is not None:
            out.qparams.update(qparams)
        return out

    def apply_quant_weight(self, target: Tensor):
        """Observes and fake-quantizes a weight."""
        return self._apply_fakequant_with_observer(target, self.weight_fake_quant, self.weight_observer)

    def apply_quant_activation(self, target: Tensor):
        """Observes and fake-quantizes a result."""
        return self._apply_fakequant_with_observer(target, self.act_fake_quant, self.act_observer)

    def apply_quant_bias(self, target: Tensor, inp: Tensor, w_qat: Tensor):
        """Fake-quantizes a bias while weight and result are fake-quantized."""
        from ...quantization.utils import fake_quant_bias

        parts = (self.act_fake_quant, self.weight_fake_quant)
        return fake_quant_bias(target, inp, w_qat) if all(p and p.enabled for p in parts) else target

    def _get_method_result(self, method: str, fake_quant: FakeQuantize, observer: Observer):
        for part in (fake_quant, observer):
            if hasattr(part, method):
                return getattr(part, method)()
        return None

    def get_weight_dtype(self):
        """The dtype that its weight will have; None without observer and fake quantizer."""
        return self._get_method_result("get_quantized_dtype", self.weight_fake_quant, self.weight_observer)

    def get_activation_dtype(self):
        """The dtype that its result will have; None without observer and fake quantizer."""
        return self._get_method_result("get_quantized_dtype", self.act_fake_quant, self.act_observer)

    def get_weight_qparams(self):
        """The parameters of its weight."""
        return self._get_method_result("get_qparams", self.weight_fake_quant, self.weight_observer)

    def get_activation_qparams(self):
        """The parameters of its result."""
        return self._get_method_result("get_qparams", self.act_fake_quant, self.act_observer)

    @classmethod
    @abstractmethod
    def from_float_module(cls, float_module: Module):
        """The layer of a float one; they share parameters."""
