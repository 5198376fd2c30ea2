"""Modules, optimizers, transforms and samplers made or called with arguments that make no sense: an exception at most."""

import inspect
import random

import numpy as np
import pytest

import megalith as mge
import megalith.data.sampler as samplers
import megalith.data.transform as transforms
import megalith.module as M
import megalith.optimizer as optimizers
import megalith.quantization as Q
import megalith.random as R
from megalith.module import init
from test_bad_arguments import EXPECTED, VALUES, value

# What Python itself raises when an object is none that was asked for.
EXPECTED += (AttributeError, ArithmeticError, LookupError, AssertionError)

MODULES = [getattr(M, n) for n in dir(M) if inspect.isclass(getattr(M, n)) and issubclass(getattr(M, n), M.Module)]
OPTIMIZERS = [getattr(optimizers, n) for n in ("SGD", "Adam", "AdamW", "Adagrad", "Adadelta", "LAMB")]
SCHEDULERS = [getattr(optimizers, n) for n in ("MultiStepLR", "LRScheduler")]
TRANSFORMS = [
    c for n, c in vars(transforms).items()
    if inspect.isclass(c) and issubclass(c, transforms.Transform) and n != "TorchTransformCompose"  # needs torchvision
]  # fmt: skip
SAMPLERS = [c for n, c in vars(samplers).items() if inspect.isclass(c) and issubclass(c, samplers.Sampler)]
QUANTIZERS = [
    getattr(Q, n)
    for n in ("MinMaxObserver", "HistogramObserver", "ExponentialMovingAverageObserver", "FakeQuantize", "TQT", "LSQ")
]
INITS = [getattr(init, n) for n in dir(init) if n.endswith("_") and not n.startswith("_")]
DRAWS = [getattr(R, n) for n in R.__all__ if n not in ("RNG", "seed")]
# Numbers that may be huge sizes are left to the functions' own tests: a module of 10^12 numbers is right to try.
SMALL = [v for v in VALUES if not isinstance(v, int) or abs(v) < 1000]


def arguments(f, rng, make, most=4):
    """Some positional arguments, and some by name."""
    params = [p for p in inspect.signature(f).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    required = sum(p.default is p.empty for p in params)
    n = min(required + rng.randrange(most), len(params))
    named = {p.name: make(rng) for p in params[n:] if rng.random() < 0.15}
    return [make(rng) for _ in range(n)], named


def plain(rng):
    return rng.choice(SMALL)


def sensible(rng):
    """Mostly what a module could be made of."""
    return rng.choice([1, 2, 3, 4, (2, 2), True, 0]) if rng.random() < 0.8 else plain(rng)


def tried(f, *args, **kwargs):
    """The result; None when an exception that a caller can expect was raised."""
    try:
        return f(*args, **kwargs)
    except EXPECTED as e:
        assert len(str(e).splitlines()) <= 3, e


def ids(classes):
    return [c.__name__ for c in classes]


@pytest.mark.parametrize("cls", MODULES, ids=ids(MODULES))
def test_modules(cls):
    rng = random.Random(cls.__name__)
    for i in range(40):
        args, named = arguments(cls, rng, sensible if i % 4 else plain)
        module = tried(cls, *args, **named)
        if module is not None:
            repr(module)
            for _ in range(2):
                tried(module, *[value(rng) for _ in range(rng.choice([1, 1, 1, 2, 3, 0]))])


@pytest.mark.parametrize("cls", OPTIMIZERS, ids=ids(OPTIMIZERS))
def test_optimizers(cls):
    rng = random.Random(cls.__name__)
    for i in range(60):
        p = mge.Parameter([1.0, 2.0])
        params = [p] if i % 3 else value(rng)
        args, named = arguments(cls, rng, plain)
        optimizer = tried(cls, params, *args[1:], **{k: v for k, v in named.items() if k != "params"})
        if optimizer is None:
            continue
        repr(optimizer)
        p.grad = rng.choice([None, mge.Tensor([1.0, float("nan")]), mge.Tensor([1.0]), mge.Tensor([[1.0]] * 3)])
        tried(optimizer.step)
        tried(optimizer.load_state_dict, plain(rng))
        tried(optimizer.clear_grad)
        scheduler = rng.choice(SCHEDULERS)
        args, named = arguments(scheduler, rng, plain)
        scheduler = tried(scheduler, optimizer, *args[1:], **{k: v for k, v in named.items() if k != "optimizer"})
        if scheduler is not None:
            tried(scheduler.step)


@pytest.mark.parametrize("cls", TRANSFORMS, ids=ids(TRANSFORMS))
def test_transforms(cls):
    rng = random.Random(cls.__name__)
    images = [np.zeros(s, t) for s in ((4, 4, 3), (4, 4, 1), (4, 4), (0, 4, 3), (3,), (1, 1, 3), (2, 3, 4, 3), ())
              for t in ("uint8", "float32", "int32", "bool")]  # fmt: skip
    for i in range(60):
        args, named = arguments(cls, rng, sensible if i % 2 else plain)
        transform = tried(cls, *args, **named)
        if transform is not None:
            repr(transform)
            tried(transform.apply, rng.choice(images) if i % 5 else plain(rng))


@pytest.mark.parametrize("cls", SAMPLERS, ids=ids(SAMPLERS))
def test_samplers(cls):
    rng = random.Random(cls.__name__)
    for _ in range(60):
        args, named = arguments(cls, rng, plain)
        if args:
            args[0] = rng.choice([[1, 2, 3], [], None, 3, "abc"])
        sampler = tried(cls, *args, **named)
        if sampler is None:
            continue
        tried(len, sampler)
        batches = tried(iter, sampler)
        for _ in range(3):
            if batches is not None and tried(next, batches, None) is None:
                break


@pytest.mark.parametrize("cls", QUANTIZERS, ids=ids(QUANTIZERS))
def test_quantizers(cls):
    rng = random.Random(cls.__name__)
    for i in range(40):
        args, named = arguments(cls, rng, plain)
        quantizer = tried(cls, *(["qint8"] if i % 2 else args[:1]), **named)
        if quantizer is not None:
            tried(quantizer, value(rng), *([value(rng)] if i % 3 else []))
            tried(getattr(quantizer, "get_qparams", int))


@pytest.mark.parametrize("f", [*INITS, *DRAWS], ids=lambda f: f.__name__)
def test_numbers_drawn(f):
    rng = random.Random(f.__name__)
    for i in range(60):
        args, named = arguments(f, rng, sensible if i % 2 else lambda r: plain(r) if r.random() < 0.5 else value(r))
        if f in INITS and args:
            args[0] = value(rng)
        tried(f, *args, **named)
