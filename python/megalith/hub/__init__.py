"""Models from repositories."""

from .._missing import module_getattr as _module_getattr
from .hub import help, import_module, list, load, load_serialized_obj_from_url, pretrained

__getattr__ = _module_getattr(__name__)
