"""Models of other runtimes as modules; this build has none of the runtimes, so that calls raise."""

from ..functional import external
from .module import Module


class _Subgraph(Module):
    """Keeps a model as bytes."""

    def __init__(self, data, **kwargs):
        super().__init__(**kwargs)
        self.data = data


class ExternOprSubgraph(Module):
    """A model of a runtime that was given to MegEngine as a library.

    Args:
        output_shapes: shapes of the results.
        dump_name: name of the runtime.
        dump_data: the model.
        output_dtypes: types of the results.
    """

    def __init__(self, output_shapes, dump_name, dump_data, output_dtypes=None, **kwargs):
        super().__init__(**kwargs)
        self.output_shapes, self.dump_name, self.data = output_shapes, dump_name, dump_data
        self.output_dtypes = output_dtypes

    def forward(self, *inputs):
        return external.extern_opr_subgraph(inputs, self.output_shapes, self.dump_name, self.data, self.output_dtypes)


class TensorrtRuntimeSubgraph(_Subgraph):
    """A TensorRT engine."""

    def __init__(self, data, **kwargs):
        super().__init__(data, **kwargs)

    def forward(self, *inputs):
        return external.tensorrt_runtime_opr(inputs, data=self.data)


class CambriconRuntimeSubgraph(_Subgraph):
    """A Cambricon model."""

    def __init__(self, data, symbol, tensor_dim_mutable, **kwargs):
        super().__init__(data, **kwargs)
        self.symbol, self.tensor_dim_mutable = symbol, tensor_dim_mutable

    def forward(self, *inputs):
        return external.cambricon_runtime_opr(inputs, self.data, self.symbol, self.tensor_dim_mutable)


class AtlasRuntimeSubgraph(_Subgraph):
    """An Atlas model."""

    def __init__(self, data, **kwargs):
        super().__init__(data, **kwargs)

    def forward(self, *inputs):
        return external.atlas_runtime_opr(inputs, data=self.data)


class MagicMindRuntimeSubgraph(_Subgraph):
    """A MagicMind model."""

    def __init__(self, data, **kwargs):
        super().__init__(data, **kwargs)

    def forward(self, *inputs):
        return external.magicmind_runtime_opr(inputs, data=self.data)
