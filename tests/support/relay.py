"""What listens on loopback, at another address of this machine too: where containers can reach it."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.support.upstream import LOOPBACK


@contextlib.contextmanager
def relayed(address: str, port: int) -> Iterator[None]:
    """Lead the same port of this address to that of loopback, until the block ends."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((address, port), backlog=128))
        sockets: list[socket.socket] = []
        thread = threading.Thread(target=_accept, args=(listener, port, sockets), daemon=True)
        thread.start()
        yield
        for sock in (listener, *sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for sock in sockets:
            sock.close()


def _accept(listener: socket.socket, port: int, sockets: list[socket.socket]) -> None:
    with contextlib.suppress(OSError):
        while True:
            near, _ = listener.accept()
            far = socket.create_connection((LOOPBACK, port))
            sockets += (near, far)
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
