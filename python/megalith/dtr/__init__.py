"""Settings of MegEngine's dynamic tensor rematerialization, see :mod:`megalith.dtr.dtr`."""

import sys

from .dtr import Settings, disable, enable

sys.modules[__name__].__class__ = Settings
