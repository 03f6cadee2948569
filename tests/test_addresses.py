"""The rule about hosts that callers name: by a table, by properties of all addresses, and by what operators add."""

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations import addresses

PUBLIC = "93.184.215.14"
ROWS = [
    line.split("\t")
    for line in (Path(__file__).parent / "support/hosts.tsv").read_text().splitlines()
    if not line.startswith(("#", "host\t"))
]


def decoded(text: str) -> str:
    return text.encode("ascii").decode("unicode_escape")


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def refused(host: str, answers: list[str], port: int = 587) -> bool:
    """Say what happens to a host that is looked up to these addresses, or is one itself."""
    try:
        name = addresses.spelled(host)
        addresses.check(name, port, [name] if is_address(name) else answers, (25, 587))
    except addresses.Denied:
        return True
    return False


@pytest.mark.parametrize(("host", "answers", "verdict", "why"), ROWS, ids=[f"{row[0]}-{row[3]}" for row in ROWS])
def test_the_table(host: str, answers: str, verdict: str, why: str) -> None:
    given_answers = [PUBLIC] if answers == "-" else answers.split(",")
    assert refused(decoded(host), given_answers) == (verdict == "deny"), why


def test_the_table_has_both_kinds() -> None:
    verdicts = [row[2] for row in ROWS]
    assert verdicts.count("deny") > 80
    assert verdicts.count("allow") >= 18


# A rule that is not ours: what IANA calls globally reachable, in a Python that knows the registries, can only be more.
@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert not addresses.is_public(str(address))


@given(st.ip_addresses(v=4))
def test_no_embedding_of_an_ipv4_address_is_public(address: ipaddress.IPv4Address) -> None:
    digits = f"{int(address):08x}"
    high, low = digits[:4], digits[4:]
    for form in (
        f"::{address}",
        f"::ffff:{address}",
        f"64:ff9b::{address}",
        f"2002:{high}:{low}::1",
        f"2001:0:{high}:{low}::1",
    ):
        assert not addresses.is_public(form)


@pytest.mark.parametrize("port", [0, 22, 80, 6379, 9001])
def test_only_the_ports_of_the_protocol_are_open(port: int) -> None:
    assert refused("mail.example.com", [PUBLIC], port)
    assert not refused("mail.example.com", [PUBLIC], 25)


@pytest.mark.parametrize(
    ("let_pass", "host", "answers", "passes"),
    [
        ("mail.internal", "mail.internal", ["10.1.2.3"], True),
        (" MAIL.internal , other", "Mail.Internal", ["10.1.2.3"], True),
        ("mailhog", "mailhog", ["172.17.0.2"], True),
        ("mail.internal", "evil.mail.internal", ["10.1.2.3"], False),
        ("mail.internal", "other.example.com", ["10.1.2.3"], False),
        ("10.0.0.0/8", "mail.example.com", ["10.1.2.3"], True),
        ("10.0.0.0/8", "mail.example.com", ["10.1.2.3", "192.168.0.1"], False),
        ("10.0.0.0/8", "mail.internal", ["10.1.2.3"], False),
        ("127.0.0.1", "127.0.0.1", [], True),
        ("::1", "::1", [], True),
        ("::1", "::ffff:127.0.0.1", [], False),
        ("", "", [], False),
        (",", "mailhog", ["172.17.0.2"], False),
    ],
)
def test_operators_let_hosts_and_networks_pass(
    monkeypatch: pytest.MonkeyPatch,
    let_pass: str,
    host: str,
    answers: list[str],
    passes: bool,  # noqa: FBT001  # a column of the table
) -> None:
    assert refused(host, answers)
    monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", let_pass)
    # On any port: that is for the operators to know.
    assert refused(host, answers, port=1025) is not passes


def test_a_public_address_beside_a_network_that_passes_keeps_its_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", "10.0.0.0/8")
    assert refused("mail.example.com", ["10.0.0.1", PUBLIC], port=1025)
    assert not refused("mail.example.com", ["10.0.0.1", PUBLIC], port=587)


def test_a_name_in_another_script_is_looked_up_by_its_a_label() -> None:
    assert addresses.spelled("MÜNCHEN.de") == addresses.spelled("xn--mnchen-3ya.de") == "xn--mnchen-3ya.de"
