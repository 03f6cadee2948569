"""Each clause of the URL policy is needed: without it, a row of the corpus that is named here becomes another.

A mutant is a copy of the layer's package under another name in which one clause is taken out, by replacing its text.
"""

import importlib
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.security.test_urls import downgraded
from tests.support.corpus import DENY, ROWS, Row, fetched, of_the_web, verdict_over_https
from tests.support.fetching import provider_of
from tests.support.network import Network

PACKAGE = Path(__file__).parents[2] / "layers/common/python/integrations"


@dataclass(frozen=True)
class Mutant:
    """The clause, the text that has it, what stands there instead, and the row that must become another."""

    clause: str
    file: str
    text: str
    instead: str
    killer: str


def grammar(clause: str, text: str, instead: str, killer: str) -> Mutant:
    return Mutant(clause, "urls", text, instead, killer)


def address(clause: str, text: str, instead: str, killer: str) -> Mutant:
    return Mutant(clause, "addresses", text, instead, killer)


def closed(network: str, killer: str) -> Mutant:
    kind = "IPv6Address" if ":" in network else "IPv4Address"
    return address(f"{network} is closed", f'"{network}"', f'"{_nobody(kind)}"', killer)


def _nobody(kind: str) -> str:
    return "2001:db8::/128" if kind == "IPv6Address" else "255.255.255.255/32"


def never(name: str, char: str, killer: str) -> Mutant:
    return grammar(f"no {name}", "_NEVER = set(' \\\\<>\"^{|}`')", f"_NEVER = set(' \\\\<>\"^{{|}}`') - {{{char!r}}}", killer)


def category(name: str, killer: str) -> Mutant:
    return grammar(f"no character of {name}", f'"{name}"', '"none"', killer)


def special(name: str, killer: str) -> Mutant:
    before, after = ("(?:", "|") if name == "alt" else ("|", "")
    return address(f".{name} is closed", f"{before}{name}{after or '|'}" if name != "test" else "|test)",
                   before if after else ("|" if name != "test" else ")"), killer)  # fmt: skip


DEEP = "https://ok.example.com/r"

MUTANTS = [
    # What a URL is.
    grammar("length", "len(text) > LONGEST", "len(text) > 10**9", "http://example.com/aaaaaaaaaaaaaaaa"),
    never("space", " ", "https://example.com/a b"),
    never("backslash", "\\", "http://example.com\\@127.0.0.1/|https://example.com\\"),
    never("less than", "<", "https://example.com/<"),
    never("greater than", ">", "https://example.com/>"),
    never("quote", '"', 'https://example.com/"'),
    never("circumflex", "^", "https://example.com/^"),
    never("opening brace", "{", "https://example.com/{"),
    never("bar", "|", "https://example.com/a|b"),
    never("closing brace", "}", "https://example.com/}"),
    never("backtick", "`", "https://example.com/`"),
    category("Cc", "https://example.com/\x7f"),
    category("Cf", "https://example.com/\u200b"),
    category("Cs", "https://example.com/\ud800"),
    category("Co", "https://example.com/\ue000"),
    category("Cn", "https://example.com/\uffff"),
    category("Zs", "https://example.com/\u00a0"),
    category("Zl", "https://example.com/\u2028"),
    category("Zp", "https://example.com/\u2029"),
    grammar("schemes", "if scheme not in (WEB if passes else schemes):", "if False:", "ftp://example.com/x"),
    grammar("https where credentials go", 'HTTPS = ("https",)', 'HTTPS = ("https", "http")', "http://example.com/"),
    grammar("open ports", "if not passes and port not in OPEN_PORTS:", "if False:", "https://example.com:9001/"),
    grammar("no more ports than are open", "frozenset({80,", "frozenset({22, 80,", "https://example.com:22/"),
    grammar("no loop", "if not passes and _LOOPS.fullmatch(host):", "if False:",
            "https://abc123.execute-api.eu-central-1.amazonaws.com/"),
    grammar("no loop by a Function URL", "|lambda-url", "|never", "https://abc123.lambda-url.eu-central-1.on.aws/"),
    grammar("no loop in China", r"(?:\.cn)?", "", "https://abc123.execute-api.cn-north-1.amazonaws.com.cn/"),
    grammar("no loop by dual stack", r"|api\.aws", "", "https://abc123.execute-api.us-east-1.api.aws/"),
    # What a host is.
    grammar("no user", r"[^:\[\]@%]+", r"(?:[^@]*@)?[^:\[\]@%]+", "https://user@example.com/"),
    grammar("no percent-encoding in a host", r"[^:\[\]@%]+", r"[^:\[\]@]+", "https://example.com%2f.evil.net/"),
    grammar("no zone", r"[0-9A-Fa-f:.]+)\]", r"[0-9A-Fa-f:.%a-z]+)\]", "https://[2606:4700:4700::1111%25eth0]/"),
    grammar("digits of ASCII in a port", "[0-9]{1,5}", r"\\d{1,5}".replace("\\\\", "\\"),
            "https://example.com:\u0664\u0664\u0663/"),
    grammar("ports below 65,536", "not 0 < port < 65536", "not 0 < port", "https://example.com:65536/"),
    grammar("ports above 0", "not 0 < port < 65536", "not port < 65536", "https://example.com:0/"),
    grammar("nothing that looks like ASCII", "if not host.isascii() and", "if False and",
            "https://\u24d4xample.com/"),
    grammar("brackets for IPv6 and for nothing else", 'if (":" in name) != bool(parts["v6"]):', "if False:",
            "https://[8.8.8.8]/"),
    address("names are names", "if not _NAME.fullmatch(name) or", "if", "https://exa_mple.com/"),
    address("labels of 63", "[a-z0-9-]{1,63}(?<!-)\\.)+", "[a-z0-9-]{1,64}(?<!-)\\.)+",
            "https://" + "a" * 64 + ".com/"),
    address("two labels", "(?<!-)\\.)+(?!-)", "(?<!-)\\.)*(?!-)", "https://com/"),
    address("no dash at the start", "(?:(?!-)[a-z0-9-]{1,63}(?<!-)\\.)+", "(?:[a-z0-9-]{1,63}(?<!-)\\.)+",
            "https://-a.example.com/"),
    address("no dash at the end", "[a-z0-9-]{1,63}(?<!-)\\.)+", "[a-z0-9-]{1,63}\\.)+", "https://a-.example.com/"),
    address("names end in no number", "_ENDS_IN_A_NUMBER.fullmatch(name)", "False", "https://127.1/"),
    address("names end in no number in hex", "|0x[0-9a-f]*", "", "https://0x7f.1.0x7f/|https://example.com.0x7f/"),
    address("names end in no empty number in hex", "0x[0-9a-f]*", "0x[0-9a-f]+", "https://example.0x/"),
    address("IDNA 2008", "return idna.encode(idna.decode(name, strict=True), strict=True).decode()",
            'return name.encode("punycode").decode().rstrip("-")', "https://\u2603.example.com/"),
    address("no other full stops", "idna.encode(idna.decode(name, strict=True), strict=True)",
            "idna.encode(idna.decode(name), strict=False)", "https://m\u00fcnchen\u3002de/"),
    address("A-labels that can be read", 'or "xn--" in name', "", "https://xn--n3h.example.com/"),
    address("special names", "if _CLOSED_NAMES.fullmatch(name):", "if False:", "https://app.localhost/"),
    special("alt", "https://name.alt/"),
    special("arpa", "https://router.home.arpa/"),
    special("corp", "http://db.corp/"),
    special("home", "https://nas.home/"),
    special("internal", "https://host.docker.internal/"),
    special("intranet", "https://wiki.intranet/"),
    special("invalid", "https://app.invalid/"),
    special("lan", "https://router.lan/"),
    special("local", "http://printer.local/"),
    special("localdomain", "https://x.localdomain/"),
    special("localhost", "https://app.localhost/"),
    special("onion", "http://xyz.onion/"),
    special("private", "https://db.private/"),
    special("test", "https://app.test/"),
    # What an address is.
    closed("0.0.0.0/8", "http://0.1.2.3/"),
    closed("10.0.0.0/8", "https://10.1.2.3/"),
    closed("100.64.0.0/10", "http://100.64.0.1/"),
    closed("127.0.0.0/8", "https://127.0.0.1/"),
    closed("168.63.129.16/32", "http://168.63.129.16/machine?comp=goalstate"),
    closed("169.254.0.0/16", "http://169.254.169.254/latest/meta-data/iam/security-credentials/"),
    closed("172.16.0.0/12", "http://172.31.255.255/"),
    closed("192.0.0.0/24", "https://192.0.0.8/"),
    closed("192.0.2.0/24", "https://192.0.2.1/"),
    closed("192.88.99.0/24", "http://192.88.99.1/"),
    closed("192.168.0.0/16", "http://192.168.1.1/"),
    closed("198.18.0.0/15", "http://198.18.0.1/"),
    closed("198.51.100.0/24", "http://198.51.100.7/"),
    closed("203.0.113.0/24", "http://203.0.113.7/"),
    closed("224.0.0.0/4", "https://224.0.0.1/"),
    closed("240.0.0.0/4", "https://240.0.0.1/"),
    closed("2001::/23", "https://[2001:1::1]/"),
    closed("2001:db8::/32", "http://[2001:db8::1]/"),
    closed("2002::/16", "https://[2002:7f00:1::1]/"),
    closed("3fff::/20", "http://[3fff::1]/"),
    address("global unicast only", 'IPv6Network("2000::/3")', 'IPv6Network("::/0")', "https://[::ffff:10.1.2.3]/"),
    address("no zone in an answer", "not parsed.scope_id and", "", "https://zone.attacker.example.net/"),
    address("every answer", "if not all(map(is_public, others)):", "if not any(map(is_public, others)):",
            "https://mixed.attacker.example.net/"),
    address("the first answer too", "map(is_public, others)", "map(is_public, others[1:])",
            "https://bad.attacker.example.net/"),
    address("the last answer too", "map(is_public, others)", "map(is_public, others[:1])",
            "https://mixed.attacker.example.net/"),
    # What is done with them.
    Mutant("the guard", "egress", "self.check(host, port, answers)", "pass", "http://lvh.me/|https://mixed"),
    Mutant("the guard of requests that a caller names", "files", "guarded=True, redirects", "guarded=False, redirects",
           "https://zero.attacker.example.net/"),
    Mutant("no redirect but by the policy", "files", "target = _safe(url, secured=secured)",
           "target = urls.parsed(url, urls.WEB) if not secured else _unchecked(url)",
           f"{DEEP} [redirect:https://user:pw@b.example.com/]"),
    Mutant("at most five redirects", "files", "range(MAX_REDIRECTS + 1)", "range(MAX_REDIRECTS + 2)",
           f"{DEEP} [redirect:https://a.example.com/1 -> https://a.example.com/2 -> https://a.example.com/3 -> "
           "https://a.example.com/4 -> https://a.example.com/5 -> https://a.example.com/6]"),
    Mutant("five redirects", "files", "range(MAX_REDIRECTS + 1)", "range(MAX_REDIRECTS)",
           f"{DEEP} [redirect:https://a.example.com/1 -> https://a.example.com/2 -> https://a.example.com/3 -> "
           "https://a.example.com/4 -> https://a.example.com/5]"),
    Mutant("nothing is left out of a Location", "files", "urls.check_characters(location)", "pass",
           f"{DEEP} [redirect:https://exa\\x09mple.com/]"),
]  # fmt: skip
