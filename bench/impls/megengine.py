"""MegEngine. Variants: "" (eager); lite (functions and models from a .mge file in megenginelite, with weight preprocessing,
fused convolutions and constant shapes); lite+fast (algorithms chosen by timing them as well)."""

import os
import tempfile

import megengine as mge
import numpy as np
from impls.mge_api import Api
from worker import Unsupported

api = Api(mge)


def version():
    return mge.__version__


def _lite(f, x, fast, threads):
    import megenginelite as lite

    traced = mge.jit.trace(symbolic=True, capture_as_const=True)(f)
    traced(api.tensor(x))
    options = lite.LiteOptions()
    options.weight_preprocess, options.graph_opt_level, options.const_shape = True, 2, True
    net = lite.LiteNetwork(config=lite.LiteConfig(option=options))
    if threads > 1:
        net.threads_number = threads
    if fast:
        strategy = lite.LiteAlgoSelectStrategy
        net.set_network_algo_policy(strategy.LITE_ALGO_PROFILE | strategy.LITE_ALGO_OPTIMIZED)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.mge")
        traced.dump(path, arg_names=["x"], optimize_for_inference=True, enable_fuse_conv_bias_nonlinearity=True)
        net.load(path)
    net.get_io_tensor("x").set_data_by_copy(np.ascontiguousarray(x))

    def run():
        net.forward()
        net.wait()

    def output():
        run()
        return [net.get_io_tensor(net.get_all_output_name()[0]).to_numpy()]

    return run, output


def make(c, variant, threads):
    variants = variant.split("+")
    if "lite" in variants:
        found = api.function(c)
        if not found:
            raise Unsupported
        return _lite(*found, fast="fast" in variants, threads=threads)
    if threads > 1:
        mge.set_default_device("multithread%d:0" % threads)
    return api.eager(c)
