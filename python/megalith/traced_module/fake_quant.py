"""A fake quantization that has its own parameters, for traced modules whose numbers come from elsewhere."""

from typing import Union

from .._errors import require
from ..core.tensor.dtype import QuantDtypeMeta
from ..quantization.fake_quant import FakeQuantize as _FakeQuantize
from ..quantization.fake_quant import _check_same_meta
from ..quantization.utils import QParams, QParamsModuleMixin


class FakeQuantize(_FakeQuantize, QParamsModuleMixin):
    """Rounds with a scale and zero point that were set.

    Args:
        dtype: the quantized type or its name.
        enable: whether it rounds.

    Examples:
        >>> import megalith as mge
        >>> from megalith.quantization.utils import QuantMode, create_qparams
        >>> from megalith.traced_module.fake_quant import FakeQuantize
        >>> fake = FakeQuantize("qint8")
        >>> fake.set_qparams(create_qparams(QuantMode.SYMMERTIC, fake.dtype, scale=mge.Tensor(0.5)))
        >>> fake(mge.Tensor([0.3, 0.8]))
        Tensor([0.5 1. ], device=xpux:0)
    """

    def __init__(self, dtype: Union[str, QuantDtypeMeta], enable: bool = True, **kwargs):
        super().__init__(dtype, enable, **kwargs)
        self.qparams = None

    def fake_quant_forward(self, inp, qparams: QParams = None):
        qparams = self.qparams if qparams is None else qparams
        require(qparams is not None, "FakeQuantize: it has no parameters yet, set_qparams sets them")
        return super().fake_quant_forward(inp, qparams)

    def get_qparams(self):
        return self.qparams

    def set_qparams(self, qparams: QParams):
        """Rounds with these from now on."""
        _check_same_meta("FakeQuantize", qparams, self.dtype)
        self.qparams = qparams
