"""Megalith. Variants: "" (models from a .mge file, planned, with all graph passes; the rest by eager calls); planned (all
from a file); eager (models too); reference (from a file, plain kernels only); avx2."""

import os
import tempfile

import megalith as mge
import numpy as np
from impls.mge_api import Api
from megalith import _core
from worker import Unsupported


class Megalith(Api):
    def set_recurrent(self, m, weights):
        flat = np.concatenate([v.ravel() for layer in weights for v in layer])
        m._flatten_weights[:] = self.tensor(flat.reshape(m._flatten_weights.shape))

    def planned(self, f, x, reference=False):
        """f written to a file, and run as `mgl run` runs it."""
        x = self.tensor(x)
        traced = self.jit.trace(symbolic=True, capture_as_const=True)(f)
        traced(x)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.mge")
            traced.dump(path, arg_names=["x"])
            model = _core.Model.load(path, reference=reference)
        feeds = {"x": x}
        return (lambda: model.run(feeds)), (lambda: [t.numpy() for t in model.run(feeds)])


api = Megalith(mge)


def version():
    return mge.__version__


def make(c, variant, threads):
    variants = variant.split("+")
    planned = c["group"] == "model" or "planned" in variants or "reference" in variants
    if not planned or "eager" in variants:
        return api.eager(c)
    found = api.function(c)
    if not found:
        raise Unsupported
    return api.planned(*found, reference="reference" in variants)
