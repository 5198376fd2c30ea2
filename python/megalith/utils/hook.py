"""Handles of registered functions."""

import itertools
import weakref

_ids = itertools.count()


class HookHandler:
    """Keeps a function in a table until :meth:`remove` is called."""

    def __init__(self, source_dict, hook):
        self.id = next(_ids)
        source_dict[self.id] = hook
        self.source_ref = weakref.ref(source_dict)

    def remove(self):
        """Takes the function out of the table; more than once does nothing."""
        table = self.source_ref()
        if table is not None:
            table.pop(self.id, None)
