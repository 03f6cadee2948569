"""Which hosts may be reached when a caller names them: public ones, and those that the operators let pass.

The base URL of a provider needs none of this. A host in a setup or an argument does: through it a caller would reach
what lies next to this function, such as the runtime's own API, a metadata service or a private network.
"""

import ipaddress
import os
import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# The predicates of `ipaddress` are no rule: `is_global` is true of 6to4, NAT64 and multicast, and its answers differ
# between Python's versions. From IANA's registries of special-purpose addresses:
_CLOSED_V4 = [
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host, though a public address
        "169.254.0.0/16",  # link-local: metadata services, Lambda's runtime API
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
]
# Of IPv6 only global unicast is open; mapped, NAT64, unique local, link-local and multicast addresses lie outside.
_OPEN_V6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_V6 = [
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
]

# Names that are not of the public DNS, which a resolver on the spot may know all the same (RFC 6761 and its kin).
_CLOSED_NAMES = {
    "alt", "arpa", "cluster", "consul", "corp", "docker", "home", "internal", "intranet", "invalid", "lan", "local",
    "localdomain", "localhost", "mail", "onion", "private", "svc", "test",
}  # fmt: skip
_NAME = re.compile(r"(?=.{4,253}\Z)(?:(?!-)[a-z0-9-]{1,63}(?<!-)\.)+(?!-)[a-z0-9-]{1,63}(?<!-)")
# Resolvers read 127.1, 0x7f.1 and 2130706433 as addresses; a name never ends in a number.
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


class Denied(ValueError):
    """The host may not be reached. The text says why, in words for the caller."""


def spelled(host: str) -> str:
    """Give the host as it is looked up and as certificates name it. Raise Denied for what only looks like a host.

    A name in another script becomes its A-label by IDNA 2008, without any mapping of characters.
    """
    name = host.lower()
    if name in _let_pass().names or is_address(name):
        return name
    if not name.isascii() or "xn--" in name:
        name = _a_label(name)
    if not _NAME.fullmatch(name) or _ENDS_IN_A_NUMBER.fullmatch(name):
        raise Denied("Not the name of a host in the public DNS, nor an IP address in its usual form")
    if name.rpartition(".")[2] in _CLOSED_NAMES:
        raise Denied("Not a name of the public DNS; the operators can let it pass with INTEGRATIONS_ALLOWED_HOSTS")
    return name


def check(host: str, port: int, answers: Sequence[str], ports: Collection[int]) -> None:
    """Refuse what the host was looked up to, unless all of it is public. Raise Denied.

    `answers` are the addresses, one of which is then connected to; `ports` are those that the protocol is known by.
    What the operators let pass may have any address and any port.
    """
    let_pass = _let_pass()
    if host in let_pass.names:
        return
    others = [answer for answer in answers if not _within(answer, let_pass.networks)]
    if not all(map(is_public, others)):
        raise Denied(
            "Leads to an address that is not public; the operators can let it pass with INTEGRATIONS_ALLOWED_HOSTS"
        )
    if others and port not in ports:
        raise Denied(f"Port {port} is not open to callers; there are {', '.join(map(str, sorted(ports)))}")


def lets_pass(host: str) -> bool:
    """Say whether the operators let this very host pass, by its name or as an address."""
    let_pass = _let_pass()
    return host in let_pass.names or _within(host, let_pass.networks)


def is_public(address: str) -> bool:
    """Say whether this is an address that anyone on the internet can reach."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _CLOSED_V4)
    # An address with a zone is a neighbour's, whatever its digits.
    return not parsed.scope_id and parsed in _OPEN_V6 and not any(parsed in network for network in _CLOSED_V6)


class _LetPass(NamedTuple):
    """What INTEGRATIONS_ALLOWED_HOSTS holds: a comma list of hosts and CIDRs."""

    names: frozenset[str]
    networks: tuple[Network, ...]


def _let_pass() -> _LetPass:
    names, networks = set(), []
    for entry in os.environ.get("INTEGRATIONS_ALLOWED_HOSTS", "").split(","):
        text = entry.strip().lower()
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            names.add(text)
    return _LetPass(frozenset(names - {""}), tuple(networks))


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def is_address(text: str) -> bool:
    """Say whether this is an address in its usual form, and not a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _a_label(name: str) -> str:
    """Give a name in A-labels. What is in them already is read first: what stands there must be a name as well."""
    import idna

    try:
        return idna.encode(idna.decode(name, strict=True), strict=True).decode()
    except idna.IDNAError:
        raise Denied("Not a host name of IDNA 2008") from None
