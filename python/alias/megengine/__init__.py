"""Megalith under MegEngine's name."""

_megalith_alias = True

from megalith import compat as _compat

_compat.install()  # takes this module's place: from here on, `megengine` is `megalith`
