"""The module whose forward runs now, as a dotted path: it names what is recorded and profiled."""


class AutoNaming:
    """A stack of module names."""

    scopes = []

    @classmethod
    def clear(cls):
        """Forgets everything."""
        cls.scopes.clear()

    @classmethod
    def push_scope(cls, scope):
        """Enters a module; None leaves the path as it is."""
        cls.scopes.append(scope)

    @classmethod
    def pop_scope(cls):
        """Leaves a module."""
        cls.scopes.pop()

    @classmethod
    def get_scope(cls) -> str:
        """The path."""
        return ".".join(s for s in cls.scopes if s is not None)

    @classmethod
    def gen_name(cls, x) -> str:
        """The path of a tensor's name."""
        scope = cls.get_scope()
        return f"{scope}.{x._name}" if scope else x._name
