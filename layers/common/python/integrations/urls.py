"""Which URLs may be asked for when a caller gives them: absolute, plain, of a public host, at the ports of the web.

The grammar is narrower than RFC 3986, on purpose: what two parsers read in two ways is refused, not interpreted, and
what passes is put together anew from its parts. The addresses behind a name are checked when the connection is made.
"""

import re
import unicodedata
from typing import NamedTuple
from urllib.parse import quote

from integrations import addresses
from integrations.addresses import Denied

LONGEST = 2048  # characters
PORTS = {"http": 80, "https": 443}
OPEN_PORTS = frozenset({80, 443, 8080, 8443})

HTTPS = ("https",)  # where credentials or a caller's data go
WEB = ("https", "http")

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(#.*)?"
)
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]@%]+))(?::(?P<port>[0-9]{1,5}))?")
# Other hosts of AWS that lead back to a function, perhaps this very one: a call that calls itself has no end.
_LOOPS = re.compile(
    r"[a-z0-9-]+\.(?:execute-api\.[a-z0-9-]+\.(?:amazonaws\.com(?:\.cn)?|api\.aws)|lambda-url\.[a-z0-9-]+\.on\.aws)"
)
_NEVER = set('\\<>"^{|}`')
# Controls, formats, surrogates, private use, and all that separates.
_NEVER_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp")
# What stays as it is in a path or a query; everything else is percent-encoded as UTF-8.
_KEPT = "/:@!$&'()*+,;=-._~%?[]"


class Url(NamedTuple):
    """The parts of a URL that passed: `host` as it is looked up, `path` with its query, in ASCII."""

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        """Put it together anew."""
        return f"{self.origin}{self.path}"

    @property
    def origin(self) -> str:
        """Give scheme, host and port: credentials are never taken from one origin to another."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == PORTS[self.scheme] else f":{self.port}")


def parsed(text: str, schemes: tuple[str, ...] = HTTPS) -> Url:
    """Give the parts of a URL that a caller gave. Raise Denied, with the rule that it breaks.

    A host that the operators let pass may have any port, and may be asked over plain http.
    """
    if len(text) > LONGEST:
        raise Denied(f"Longer than {LONGEST:,} characters")
    check_characters(text)
    split = _URL.fullmatch(text)
    if split is None:
        raise Denied(f"Not an absolute URL of {' or '.join(schemes)}")
    host, port = _host_and_port(split["authority"])
    scheme = split["scheme"].lower()
    passes = addresses.lets_pass(host)
    if scheme not in (WEB if passes else schemes):
        raise Denied(f"Not a URL of {' or '.join(schemes)}")
    port = PORTS[scheme] if port is None else port
    if not passes:
        _check_public(host, port)
    path = quote((split["path"] or "/") + (split["query"] or ""), safe=_KEPT)
    return Url(scheme, host, port, path)


def _check_public(host: str, port: int) -> None:
    if port not in OPEN_PORTS:
        raise Denied(f"Port {port} is not open to callers; there are {', '.join(map(str, sorted(OPEN_PORTS)))}")
    if _LOOPS.fullmatch(host):
        raise Denied("Leads to a function of AWS, perhaps back here; the operators can let it pass")
    # An address need not be looked up: it is refused before anybody is asked, also where another is to ask for it.
    if addresses.is_address(host):
        addresses.check(host, port, [host], OPEN_PORTS)


def check_characters(text: str) -> None:
    """Refuse what no URL holds, wherever it stands in it. Raise Denied."""
    if any(char in _NEVER or unicodedata.category(char) in _NEVER_CATEGORIES for char in text):
        raise Denied("Holds a space, a control character or a character that no URL has")


def _host_and_port(authority: str) -> tuple[str, int | None]:
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise Denied("Not a host with an optional port: no user, no password, no percent-encoding")
    port = int(parts["port"]) if parts["port"] else None
    if port is not None and not 0 < port < 65536:
        raise Denied("Not a port")
    host = parts["v6"] or parts["host"]
    if not host.isascii() and unicodedata.normalize("NFKC", host).isascii():
        raise Denied("A host in characters that only look like ASCII")
    name = addresses.spelled(host)
    # In brackets is IPv6 and nothing else; without them is none.
    if (":" in name) != bool(parts["v6"]):
        raise Denied("Not a host")
    return name, port
