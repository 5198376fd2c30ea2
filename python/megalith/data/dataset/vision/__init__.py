"""Datasets of images."""

from ...._missing import module_getattr as _module_getattr
from .cifar import CIFAR10, CIFAR100
from .folder import ImageFolder
from .imagenet import ImageNet
from .meta_vision import VisionDataset
from .mnist import MNIST

__all__ = ["CIFAR10", "CIFAR100", "ImageFolder", "ImageNet", "VisionDataset", "MNIST"]

__getattr__ = _module_getattr(__name__)
