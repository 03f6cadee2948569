"""A service that answers at once: Algolia's and MediaWiki's replies as constants, on loopback.

It runs in a process of its own, so that it takes no time from the interpreter that is measured.

    python -m benchmarks.upstream        prints its port, and serves until it is ended
"""

import json
import selectors
import socket
from typing import Any

LOOPBACK = "127.0.0.1"

TEXT = "Ada Lovelace was an English mathematician and writer. " * 40


def _page(number: int, **content: Any) -> dict[str, Any]:
    return {"pageid": number, "ns": 0, "title": f"Page {number}", **content}


def _response(body: Any) -> bytes:
    content = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(content),
        content,
    )


HITS = _response(
    {
        "hits": [
            {"objectID": str(number), "name": f"Phone {number}", "brand": "acme", "price": 99.5 + number}
            for number in range(5)
        ],
        "query": "phone",
        "nbHits": 5,
        "page": 0,
        "nbPages": 1,
        "processingTimeMS": 1,
        "hitsPerPage": 5,
        "exhaustiveNbHits": True,
        "params": "query=phone&hitsPerPage=5",
    }
)
PAGES = _response(
    {
        "batchcomplete": True,
        "query": {
            "pages": [
                _page(number, index=number, fullurl=f"https://en.wikipedia.org/wiki/{number}", extract=TEXT[:500])
                for number in (1, 2)
            ]
        },
    }
)
EXTRACT = _response({"batchcomplete": True, "query": {"pages": [_page(1, extract=TEXT)]}})


def reply(request: bytes) -> bytes:
    """Give the answer to a request, of which only the target is read."""
    target = request.split(b" ", 2)[1]
    if b"/indexes/" in target:
        return HITS
    return EXTRACT if b"pageids=" in target else PAGES


def main() -> None:
    """Serve until ended, one request at a time: the measured side asks no faster."""
    listener = socket.create_server((LOOPBACK, 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    received: dict[Any, bytes] = {}
    while True:
        for key, _ in selector.select():
            connection: Any = key.fileobj
            if connection is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ)
                received[connection] = b""
                continue
            try:
                data = connection.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                selector.unregister(connection)
                connection.close()
                del received[connection]
                continue
            received[connection] += data
            if _complete(received[connection]):
                connection.sendall(reply(received[connection]))
                received[connection] = b""


def _complete(request: bytes) -> bool:
    head, ended, body = request.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(ended) and len(body) >= int(length or 0)


if __name__ == "__main__":
    main()
