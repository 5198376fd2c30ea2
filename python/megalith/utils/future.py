"""A value that is not there yet."""

import threading


class Future:
    """A value that one thread sets and others wait for.

    Args:
        ack: whether :meth:`set` waits until the value was taken.
    """

    def __init__(self, ack=True):
        self.ready = threading.Event()
        self.ack = threading.Event() if ack else None
        self.value = None

    def set(self, value):
        """Brings the value."""
        self.value = value
        self.ready.set()
        if self.ack is not None:
            self.ack.wait()

    def get(self):
        """Waits for the value."""
        self.ready.wait()
        if self.ack is not None:
            self.ack.set()
        return self.value
