"""Datasets of images."""

from ...._missing import module_getattr as _module_getattr
from .cifar import CIFAR10, CIFAR100
from .cityscapes import Cityscapes
from .coco import COCO
from .folder import ImageFolder
from .imagenet import ImageNet
from .meta_vision import VisionDataset
from .mnist import MNIST
from .objects365 import Objects365
from .voc import PascalVOC

__all__ = ["CIFAR10", "CIFAR100", "COCO", "Cityscapes", "ImageFolder", "ImageNet", "MNIST", "Objects365", "PascalVOC",
           "VisionDataset"]  # fmt: skip

__getattr__ = _module_getattr(__name__)
