"""No caller sends this bundle where it must not go: the corpus row by row, end to end, and properties of all URLs."""

import functools
import ipaddress
import random
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx
import pytest

from integrations import addresses, urls
from integrations.egress import close_clients
from tests.support.calls import post
from tests.support.corpus import ALLOW, DENY, ROWS, Row, fetched, of_the_web, verdict_over_https
from tests.support.fetching import KEY, provider
from tests.support.network import PUBLIC, Network
from tests.support.upstream import Message, Request, Upstream, json, redirect, text


def test_the_corpus_is_whole() -> None:
    verdicts = [row.verdict for row in ROWS]
    assert set(verdicts) == {ALLOW, DENY}
    assert verdicts.count(DENY) >= 176
    assert verdicts.count(ALLOW) >= 32


@pytest.mark.parametrize("row", [row for row in ROWS if not row.chain], ids=lambda row: row.name)
def test_each_row_of_the_corpus(row: Row) -> None:
    assert of_the_web("integrations", row).partition(":")[0] == row.verdict, row.why


@pytest.mark.parametrize("row", [row for row in ROWS if not row.url.startswith("data:")], ids=lambda row: row.name)
def test_each_row_end_to_end(network: Network, row: Row) -> None:
    verdict = fetched(provider, network, row)
    assert verdict == verdict_over_https(row), row.why
    assert network.inside == []
    if verdict == DENY and not row.chain:
        assert network.connected == []


def test_data_is_its_own_content_and_is_not_asked_for(network: Network) -> None:
    reply = post(provider, {"arguments": {"file": "data:text/html,<script>1</script>"}}, method="fetch", seconds=8)
    assert reply.body == {"content": "<script>1</script>", "media_type": "text/html", "name": None}
    assert network.asked == []
    assert network.connected == []


# What any other reader makes of a URL that passes.

GENERATED = 200_000
PARTS = {
    "decimal": "{}",
    "octal": "0{:o}",
    "long octal": "000{:o}",
    "hex": "0x{:x}",
    "upper hex": "0X{:X}",
    "padded": "{:03}",
}
NEAR_V4 = [
    0x7F000001, 0xA9FEA9FE, 0x0A000001, 0xC0A80101, 0xAC100001, 0x64400001, 0xA83F8110, 0x00000000, 0xFFFFFFFF,
    0xC0000008, 0xC0586301, 0xC6120001, 0xE0000001, 0xF0000001, 0x08080808, 0x01010101, 0x5DB8D70E,
]  # fmt: skip
NEAR_V6 = [
    1, 0, 0xFFFF << 32, 0x64FF9B << 96, 0xFE80 << 112, 0xFD000EC2 << 96, 0x2002 << 112, 0x20010000 << 96,
    0x20010DB8 << 96, 0xFF02 << 112, 0x26064700 << 96, 0x2A001450 << 96, 0x3FFF << 112,
]  # fmt: skip


def spelled_v4(rng: random.Random) -> str:
    """Spell an address in one of the ways that inet_aton reads, or nearly so."""
    number = rng.choice(NEAR_V4) if rng.random() < 0.7 else rng.getrandbits(32)
    count = rng.choice((1, 2, 3, 4, 4, 4))
    parts = [number >> 24 & 255, number >> 16 & 255, number >> 8 & 255][: count - 1]
    parts.append(number & (1 << 8 * (5 - count)) - 1)
    plain = rng.random() < 0.3
    if not plain and rng.random() < 0.05:
        parts[0] += 256
    return ".".join(("{}" if plain else rng.choice([*PARTS.values()])).format(part) for part in parts)


def spelled_v6(rng: random.Random) -> str:
    number = rng.choice(NEAR_V6) | rng.choice((0, 1, 0x7F000001, 0xA9FEA9FE, rng.getrandbits(48)))
    address = ipaddress.IPv6Address(number & (1 << 128) - 1)
    low = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    text = rng.choice((
        str(address), address.exploded, address.exploded.upper(), f"{address.exploded[:29]}:{low}", f"::{low}",
        f"::ffff:{low}", f"64:ff9b::{low}", f"{address}%eth0", f"{address}%25lo",
    ))  # fmt: skip
    return text if rng.random() < 0.1 else f"[{text}]"


FULL_WIDTH = {ord(char): ord(char) - 0x30 + 0xFF10 for char in "0123456789"} | {ord("."): 0x3002}
TWISTS: tuple[Callable[[str], str], ...] = (
    lambda host: f"{host}.",
    lambda host: f"user@{host}",
    lambda host: f"example.com@{host}",
    lambda host: f"example.com\\@{host}",
    lambda host: f"{host}\\.example.com",
    lambda host: f"{host}#@example.com",
    lambda host: f"{host}?@example.com",
    lambda host: f"{host}.example.com",
    lambda host: f"example.com.{host}",
    lambda host: f"{host}%00.example.com",
    lambda host: f"%3{host}",
    lambda host: host.translate(FULL_WIDTH),
    lambda host: f"{host}\u200b",
    lambda host: f"m\u00fcnchen.{host}",
    lambda host: f"{host}\t",
    lambda host: f" {host}",
    lambda host: f"{host}:{host}",
)


def generated(rng: random.Random) -> str:
    host = spelled_v4(rng) if rng.random() < 0.7 else spelled_v6(rng)
    if rng.random() < 0.6:
        host = rng.choice(TWISTS)(host)
    start = rng.choice(
        ("https://", "https://", "https://", "http://", "HTTP://", "ftp://", "https:", "https:\\\\", "//")
    )
    port = rng.choice(("", "", "", ":443", ":8080", ":22", ":0", ":99999", ":"))
    return start + host + port + rng.choice(("/", "/x?y#z", "", "/@example.com"))


def readings(host: str) -> Iterator[str]:
    """Give what the system's own readers take the host for."""
    try:
        yield str(socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)[0][4][0])
        yield socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return


def is_of_the_internet(text: str) -> bool:
    """Say so by Python's predicates and what they leave out, which is not how the policy says it."""
    address = ipaddress.ip_address(text)
    if (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
    ):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        others = ("100.64.0.0/10", "192.88.99.0/24", "168.63.129.16/32")
        return not any(address in ipaddress.IPv4Network(other) for other in others)
    return int(address) >> 125 == 1 and not (address.sixtofour or address.teredo) and not address.scope_id


def test_no_generated_url_that_passes_is_an_address_that_is_not_public() -> None:
    rng = random.Random(20261121)  # noqa: S311  # the same URLs each time
    passed: dict[str, str] = {}
    for _ in range(GENERATED):
        url = generated(rng)
        try:
            passed[url] = urls.parsed(url, urls.WEB).host
        except addresses.Denied:
            continue
    assert 2_000 < len(passed) < GENERATED / 2
    for url, host in passed.items():
        # Whoever reads the URL that is asked for, or the one that was given, reads the same host.
        target = urls.parsed(url, urls.WEB)
        assert httpx.URL(str(target)).raw_host.decode() == urlsplit(url).hostname == host, url
        for address in readings(host):
            assert ipaddress.ip_address(address) == ipaddress.ip_address(host), f"{url} is spelled in its own way"
            assert is_of_the_internet(address), url


# A resolver that changes its mind.

SCHEDULES = 2_000
PRIVATE = [
    "127.0.0.1",
    "10.0.0.5",
    "169.254.169.254",
    "192.168.1.1",
    "::1",
    "fd00:ec2::254",
    "::ffff:10.0.0.1",
    "0.0.0.0",  # noqa: S104  # connected to, it is this host
]
OPEN = [PUBLIC, "8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"]


def test_a_resolver_that_changes_its_mind_leads_nowhere_else(network: Network) -> None:
    """What was checked is what is connected to, at each of the hops, whatever the next look-up would say."""
    rng = random.Random(20261121)  # noqa: S311  # the same schedules each time
    answered: list[list[str]] = []

    def resolve(_: str) -> list[str]:
        kinds = rng.choice(((OPEN,), (OPEN,), (OPEN,), (PRIVATE,), (OPEN, PRIVATE), (PRIVATE, OPEN), (OPEN, OPEN)))
        answered.append([rng.choice(kind) for kind in kinds])
        return answered[-1]

    def page(hops: Iterator[str], _: Request) -> Message:
        location = next(hops, None)
        return redirect(location) if location else text("the web")

    outcomes = {200: 0, 422: 0}
    for number in range(SCHEDULES):
        network.forget()
        answered.clear()
        network.resolve = resolve
        hops = iter([f"https://{rng.choice('abc')}.example.com/{hop}" for hop in range(rng.randrange(3))])
        network.tls.route(functools.partial(page, hops))
        reply = post(provider, {"arguments": {"file": f"https://{number}.example.com/"}}, method="fetch", seconds=8)
        outcomes[reply.status] += 1
        # A connection that is kept is used again, so a hop may need neither a look-up nor a connection.
        good = [answers for answers in answered if not {*answers} & {*PRIVATE}]
        assert [address for address, _ in network.connected] == [answers[0] for answers in good]
        assert (reply.status == 422) == (len(good) < len(answered))
        if number % 50 == 0:
            close_clients()
    assert network.inside == []
    assert min(outcomes.values()) > SCHEDULES / 10


def test_the_name_is_looked_up_once_for_each_connection(network: Network) -> None:
    assert post(provider, {"arguments": {"file": "https://www.example.com/"}}, method="fetch", seconds=8).status == 200
    assert network.asked == ["www.example.com"]
    assert network.connected == [(PUBLIC, 443)]


def test_two_names_at_one_address_each_show_their_own_certificate(network: Network) -> None:
    """A client that wrote the address into the URL would take the first one's connection for the second."""
    for host, status in (("www.example.com", 200), ("www.unvouched.org", 500), ("www.example.com", 200)):
        reply = post(provider, {"arguments": {"file": f"https://{host}/"}}, method="fetch", seconds=8)
        assert (reply.status, reply.body.get("code")) == (status, None if status == 200 else "misconfigured")
    assert {request.headers["host"] for request in network.tls.requests} == {"www.example.com"}
    assert network.tls.failed_handshakes == 1


# Redirects.


def test_a_redirect_is_asked_for_without_anything_of_the_first(network: Network) -> None:
    network.tls.replies(
        redirect("https://www.example.com/next").with_headers({"location": "https://www.example.com/next",
                                                               "set-cookie": "session=1; Domain=example.com"}),
        text("found"),
    )  # fmt: skip
    reply = post(provider, {"arguments": {"file": "https://ok.example.com/first?token=1"}}, method="fetch", seconds=8)
    assert (reply.status, reply.body["content"], reply.body["name"]) == (200, "found", "next")
    first, second = network.tls.requests
    assert (first.target, second.target) == ("/first?token=1", "/next")
    assert second.headers["host"] == "www.example.com"
    for request in (first, second):
        assert request.body == b""
        assert (
            request.headers.keys()
            == {"host", "accept", "accept-encoding", "user-agent", "connection"} & request.headers.keys()
        )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_each_status_that_redirects_is_followed(network: Network, status: int) -> None:
    network.tls.replies(redirect("/next", status), text("found"))
    reply = post(provider, {"arguments": {"file": "https://ok.example.com/first"}}, method="fetch", seconds=8)
    assert reply.body["content"] == "found"


@pytest.mark.parametrize("status", [300, 304, 305])
def test_no_other_status_is(network: Network, status: int) -> None:
    network.tls.route(lambda _: redirect("/next", status))
    reply = post(provider, {"arguments": {"file": "https://ok.example.com/first"}}, method="fetch", seconds=8)
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")


def downgraded(asked: Any, network: Network, monkeypatch: pytest.MonkeyPatch) -> str:
    """Redirect from https to http among hosts that the operators let pass, for whom plain http is open."""
    monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", "ok.example.com")
    network.forget()
    network.tls.replies(redirect("http://ok.example.com/"))
    reply = post(asked, {"arguments": {"file": "https://ok.example.com/"}}, method="fetch", seconds=8)
    return ALLOW if reply.status == 200 else DENY


def test_no_redirect_leads_from_https_to_http(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    assert downgraded(provider, network, monkeypatch) == DENY
    assert network.plain.requests == []


# What a setup names.


def ask(url: str, path: str = "items") -> Any:
    return post(provider, {"setup": {"server_url": url, "api_key": KEY}, "arguments": {"path": path}}, method="ask")


@pytest.mark.parametrize("row", [row for row in ROWS if not row.chain], ids=lambda row: row.name)
def test_each_row_as_the_base_url_of_a_setup(network: Network, row: Row) -> None:
    if row.answers:
        network.names[urlsplit(row.url).hostname or ""] = [*row.answers]
    network.tls.route(lambda _: json({"value": 1}))
    reply = ask(row.url)
    if verdict_over_https(row) == ALLOW and "?" not in row.url:
        assert (reply.status, reply.body) == (200, {"value": 1})
        [request] = network.tls.requests
        assert request.headers["x-fetching-key"] == KEY
        assert request.path.endswith("/items")
    else:
        assert (reply.status, reply.body["errors"][0]["loc"]) in (
            (422, ["setup", "server_url"]),
            (400, ["setup", "server_url"]),
        )
        assert network.tls.requests + network.plain.requests == []
        assert network.connected == []


def test_credentials_go_to_the_origin_that_the_setup_names_and_no_other(network: Network) -> None:
    network.tls.route(lambda _: redirect("https://www.example.com/items", 307))
    reply = ask("https://ok.example.com")
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")
    assert {request.headers["host"] for request in network.tls.requests} == {"ok.example.com"}


def led_inside(asked: Any, network: Network, method: str) -> Any:
    """Ask a service that the setup names, and that is looked up to a private address."""
    network.forget()
    network.resolve = lambda _: ["10.0.0.5"]
    url = "https://ok.example.com/v1" if method == "ask" else "ok.example.com"
    return post(asked, {"setup": {"server_url": url}, "arguments": {}}, method=method)


@pytest.mark.parametrize(("method", "kind"), [("ask", "over HTTP"), ("knock", "by another protocol")])
def test_a_service_of_a_setup_that_leads_inside_is_never_connected_to(network: Network, method: str, kind: str) -> None:
    reply = led_inside(provider, network, method)
    assert (reply.status, reply.body["code"]) == (422, "url_denied"), kind
    assert reply.body["detail"] == (
        "setup.server_url: Leads to an address that is not public; "
        "the operators can let it pass with INTEGRATIONS_ALLOWED_HOSTS."
    )
    assert network.connected == []


# What operators add.


@pytest.mark.parametrize(
    ("let_pass", "url", "passes"),
    [
        ("127.0.0.1", "http://127.0.0.1:{port}/x", True),
        ("127.0.0.0/8", "http://127.0.0.1:{port}/x", True),
        ("inside.example.com", "http://inside.example.com:{port}/x", True),
        ("127.0.0.0/8", "http://inside.example.com:{port}/x", False),
        ("127.0.0.1", "http://127.0.0.2:{port}/x", False),
        ("127.0.0.1", "http://127.1:{port}/x", False),
        ("127.0.0.1", "http://user@127.0.0.1:{port}/x", False),
        ("127.0.0.1", "ftp://127.0.0.1:{port}/x", False),
        ("inside.example.com", "http://other.example.com:{port}/x", False),
    ],
)
def test_operators_let_hosts_and_networks_pass(
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    let_pass: str,
    url: str,
    passes: bool,  # noqa: FBT001  # a column
) -> None:
    """On real sockets, without any network that is played."""
    system = socket.getaddrinfo
    inside = {"inside.example.com": "127.0.0.1", "other.example.com": "127.0.0.1"}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *args, **kw: system(inside.get(host, host), *args, **kw))
    monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", let_pass)
    upstream.route(lambda _: text("inside"))
    reply = post(provider, {"arguments": {"file": url.format(port=upstream.port)}}, method="fetch", seconds=8)
    assert (reply.status, len(upstream.requests)) == ((200, 1) if passes else (422, 0)), reply.text


# The guard itself.


def unguarded(asked: Any, network: Network, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fetch as if another httpcore took no network backend any more."""
    made = httpcore.ConnectionPool.__init__

    def without(pool: Any, **options: Any) -> None:
        made(pool, **{name: value for name, value in options.items() if name != "network_backend"})

    monkeypatch.setattr(httpcore.ConnectionPool, "__init__", without)
    return post(asked, {"arguments": {"file": "https://www.example.com/"}}, method="fetch", seconds=8)


def test_nothing_is_asked_for_by_a_client_without_the_guard(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    reply = unguarded(provider, network, monkeypatch)
    assert (reply.status, reply.body["code"]) == (500, "misconfigured")
    assert reply.body["detail"].endswith("The guard of URLs is not in place; no URL of a caller is asked for.")
    assert post(provider, {"arguments": {"file": "https://www.example.com/"}}, method="fetch", seconds=8).status == 500
    assert network.tls.requests == []
    assert {address for address, _ in network.connected} == {"127.0.0.1"}, "the trial of the guard, and nothing else"
    network.inside.clear()


def test_the_guard_is_tried_where_operators_let_loopback_pass(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    for let_pass in ("127.0.0.1", "127.0.0.1,169.254.169.254"):
        monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", let_pass)
        assert (
            post(provider, {"arguments": {"file": "https://www.example.com/"}}, method="fetch", seconds=8).status == 200
        )
        close_clients()
    assert {address for address, _ in network.connected} == {PUBLIC}


def test_an_environment_with_a_proxy_changes_nothing(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:3128")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:3128")
    assert post(provider, {"arguments": {"file": "https://www.example.com/"}}, method="fetch", seconds=8).status == 200
    assert network.connected == [(PUBLIC, 443)]
