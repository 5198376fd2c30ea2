"""A server through which processes agree on values, and its client."""

import multiprocessing
import sys
import threading
import time
from collections import defaultdict
from socketserver import ThreadingMixIn
from xmlrpc.client import ServerProxy
from xmlrpc.server import SimpleXMLRPCServer

from ..utils.future import Future

_START = "fork" if sys.platform == "linux" else "spawn"  # what is spawned runs an unguarded script again


class Methods:
    """What clients can ask of the server; each call runs in a thread of its own and may wait for another.

    Args:
        mm_server_port: port of a server for tensors, 0 as there is none.
    """

    def __init__(self, mm_server_port):
        self.lock = threading.Lock()
        self.mm_server_port = mm_server_port
        self._futures = defaultdict(lambda: Future(False))  # (what, key) -> value
        self._waiting = {}  # key of a barrier -> (how many came, event)
        self._broadcasts = {}  # key -> [value, how many take it still]

    def connect(self) -> bool:
        """True: the server is there."""
        return True

    def get_mm_server_port(self) -> int:
        """Port of the server for tensors."""
        return self.mm_server_port

    def _future(self, what, key):
        with self.lock:
            return self._futures[what, key]

    def _take(self, what, key):
        value = self._future(what, key).get()
        with self.lock:
            self._futures.pop((what, key), None)
        return value

    def set_is_grad(self, key, is_grad) -> bool:
        """Tells whether what is sent under a key has a gradient."""
        self._future("is_grad", key).set(is_grad)
        return True

    def check_is_grad(self, key):
        """Waits for :meth:`set_is_grad` and takes its value."""
        return self._take("is_grad", key)

    def set_remote_tracer(self, key, tracer_set) -> bool:
        """Tells what traces what is sent under a key."""
        self._future("tracer", key).set(tracer_set)
        return True

    def check_remote_tracer(self, key):
        """Waits for :meth:`set_remote_tracer` and takes its value."""
        return self._take("tracer", key)

    def group_barrier(self, key, size) -> bool:
        """Waits until ``size`` clients have called it with a key."""
        with self.lock:
            came, event = self._waiting.get(key, (0, threading.Event()))
            if came + 1 == size:
                self._waiting.pop(key, None)
                event.set()
            else:
                self._waiting[key] = came + 1, event
        event.wait()
        return True

    def user_set(self, key, val) -> bool:
        """Sets the value of a key."""
        self._future("user", key).set(val)
        return True

    def user_get(self, key):
        """Waits for the value of a key."""
        return self._future("user", key).get()

    def user_pop(self, key):
        """Waits for the value of a key and removes it."""
        return self._take("user", key)

    def bcast_val(self, val, key, size):
        """Gives the value that one of ``size`` clients brings to the others, who bring None."""
        with self.lock:
            shared = self._broadcasts.setdefault(key, [Future(False), size])
        if val is not None:
            shared[0].set(val)
        else:
            val = shared[0].get()
        with self.lock:
            shared[1] -= 1
            if shared[1] == 0:
                self._broadcasts.pop(key, None)
        return val


class ThreadXMLRPCServer(ThreadingMixIn, SimpleXMLRPCServer):
    """A server that answers every call in a thread of its own."""

    daemon_threads = True


def _serve(port, pipe):
    try:
        server = ThreadXMLRPCServer(("127.0.0.1", port), logRequests=False, allow_none=True)
    except OSError as error:
        pipe.send(error)
        return
    server.register_instance(Methods(0))
    pipe.send(server.server_address[1])
    server.serve_forever()


class Server:
    """The server, in a process of its own, for clients on this machine.

    Args:
        port: where it listens; any free one by default.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, port=0):
        here, there = multiprocessing.Pipe()
        self.proc = multiprocessing.get_context(_START).Process(target=_serve, args=(port, there), daemon=True)
        self.proc.start()
        there.close()
        try:
            answer = here.recv()
        except EOFError:
            answer = OSError("the server did not start")
        if isinstance(answer, Exception):
            raise answer
        self.py_server_port, self.mm_server_port = answer, 0

    def __del__(self):
        proc = getattr(self, "proc", None)
        if proc is not None and proc.is_alive():
            proc.terminate()


class Client:
    """Asks the server.

    Args:
        master_ip: where it runs.
        port: where it listens.
    """

    def __init__(self, master_ip, port):
        self.master_ip = master_ip
        self.port = port
        self.bcast_dict = defaultdict(int)
        self.connect()

    def connect(self):
        """Waits until the server answers.

        Raises:
            ConnectionError: it does not within a minute.
        """
        self.proxy = ServerProxy(f"http://{self.master_ip}:{self.port}", allow_none=True)
        last = time.monotonic() + 60
        while True:
            try:
                self.proxy.connect()
                return
            except OSError as error:
                if time.monotonic() > last:
                    raise ConnectionError(f"no server answers at {self.master_ip}:{self.port}") from error
                time.sleep(0.1)

    def get_mm_server_port(self) -> int:
        """Port of the server for tensors."""
        return self.proxy.get_mm_server_port()

    def set_is_grad(self, key, is_grad):
        """Tells whether what is sent under a key has a gradient."""
        self.proxy.set_is_grad(key, is_grad)

    def check_is_grad(self, key):
        """Waits for :meth:`set_is_grad` and takes its value."""
        return self.proxy.check_is_grad(key)

    def set_remote_tracer(self, key, tracer_set):
        """Tells what traces what is sent under a key."""
        self.proxy.set_remote_tracer(key, tracer_set)

    def check_remote_tracer(self, key):
        """Waits for :meth:`set_remote_tracer` and takes its value."""
        return self.proxy.check_remote_tracer(key)

    def group_barrier(self, key, size):
        """Waits until ``size`` clients have called it with a key."""
        self.proxy.group_barrier(key, size)

    def user_set(self, key, val):
        """Sets the value of a key."""
        return self.proxy.user_set(key, val)

    def user_get(self, key):
        """Waits for the value of a key."""
        return self.proxy.user_get(key)

    def user_pop(self, key):
        """Waits for the value of a key and removes it."""
        return self.proxy.user_pop(key)

    def bcast_val(self, val, key, size):
        """Gives the value that one of ``size`` clients brings to the others, who bring None."""
        number = self.bcast_dict[key]
        self.bcast_dict[key] += 1
        return self.proxy.bcast_val(val, f"{key}_{number}", size)
