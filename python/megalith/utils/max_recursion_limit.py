"""Deep recursion."""

import sys


class AlternativeRecursionLimit:
    """Another recursion limit within ``with``, at least the one before.

    Args:
        new_py_limit: how deep Python may call.
    """

    def __init__(self, new_py_limit):
        self.new_py_limit = new_py_limit
        self._before = []

    def __enter__(self):
        self._before.append(sys.getrecursionlimit())
        sys.setrecursionlimit(max(self._before[-1], self.new_py_limit))

    def __exit__(self, type, value, traceback):
        sys.setrecursionlimit(self._before.pop())


def max_recursion_limit() -> AlternativeRecursionLimit:
    """The deepest recursion that is safe."""
    return AlternativeRecursionLimit(50_000)
