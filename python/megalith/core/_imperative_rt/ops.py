"""Every op of the registry as a class."""

from ..ops._opdef import OpDef
from ..ops.builtin import __dir__, __getattr__
