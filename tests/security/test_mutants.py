"""Each clause of the URL policy is needed: without it, a row of the corpus or a test, named here, has another end.

A mutant is a copy of the layer's package under another name in which one clause is taken out, by replacing its text.
"""

import importlib
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.security.test_urls import downgraded, led_inside, unguarded
from tests.support.corpus import ROWS, Row, fetched, of_the_web, verdict_over_https
from tests.support.fetching import provider, provider_of
from tests.support.network import PUBLIC, Network

PACKAGE = Path(__file__).parents[2] / "layers/common/python/integrations"


@dataclass(frozen=True)
class Mutant:
    """A clause: the text that has it, what stands there instead, and by which row, its URL or its why, that is seen.

    `says` is for a clause that another one stands behind: only the sentence that the caller reads is another then.
    `fetched` is for one that holds where a file is fetched, and not already where a URL is read.
    """

    clause: str
    file: str
    text: str
    instead: str
    killer: str
    says: bool = False
    fetched: bool = False

    @property
    def row(self) -> Row:
        """The row that kills it."""
        return next(row for row in ROWS if self.killer in (row.url, row.why))


def url(clause: str, text: str, instead: str, killer: str, **kinds: bool) -> Mutant:
    return Mutant(clause, "urls", text, instead, killer, **kinds)


def fetching(clause: str, file: str, text: str, instead: str, killer: str) -> Mutant:
    return Mutant(clause, file, text, instead, killer, fetched=True)


def host(clause: str, text: str, instead: str, killer: str) -> Mutant:
    return Mutant(clause, "addresses", text, instead, killer)


CHARACTERS = '\\\\<>"^{|}`'


def character(char: str, killer: str) -> Mutant:
    written = "\\\\" if char == "\\" else char
    return url(f"no {char}", f"set('{CHARACTERS}')", f"set('{CHARACTERS.replace(written, '')}')", killer)


def category(name: str, killer: str) -> Mutant:
    return url(f"no character of {name}", f'"{name}"', '"none"', killer)


def special(name: str, killer: str) -> Mutant:
    return host(f"nothing below .{name}", f'"{name}"', '"none"', killer)


def closed(network: str, killer: str) -> Mutant:
    nobody = "2001:db8::/128" if ":" in network else "255.255.255.255/32"
    return host(f"{network} is closed", f'"{network}"', f'"{nobody}"', killer)


# fmt: off
OF_ROWS = [
    # What a URL is.
    url("length", "len(text) > LONGEST", "len(text) > 10**9", "over 2,048 characters"),
    character("\\", "https://example.com/a\\b"),
    character("<", "https://example.com/<"),
    character(">", "https://example.com/>"),
    character('"', 'https://example.com/"'),
    character("^", "https://example.com/^"),
    character("{", "https://example.com/{"),
    character("|", "https://example.com/a|b"),
    character("}", "https://example.com/}"),
    character("`", "https://example.com/`"),
    category("Cc", "https://example.com/a\tb"),
    category("Cf", "https://example.com/\u200b"),
    category("Cs", "https://example.com/\ud800"),
    category("Co", "https://example.com/\ue000"),
    category("Cn", "https://example.com/\uffff"),
    category("Zs", "https://example.com/a b"),
    category("Zl", "https://example.com/\u2028"),
    category("Zp", "https://example.com/\u2029"),
    url("two slashes", "://(?P<authority>", ":/{0,2}(?P<authority>", "https:/example.com"),
    url("schemes", "if scheme not in (WEB if passes else schemes):", "if scheme == 'x':", "ftp://example.com/x"),
    url("https for what is fetched", 'HTTPS = ("https",)', 'HTTPS = ("https", "http")', "http://example.com/",
        fetched=True),
    url("open ports", "if port not in OPEN_PORTS:", "if not port:", "https://example.com:9001/"),
    url("no other port is open", "frozenset({80,", "frozenset({22, 80,", "https://example.com:22/"),
    url("every port of the web is open", "8080, 8443})", "8080})", "https://example.com:8443/x"),
    url("no loop", "if _LOOPS.fullmatch(host):", "if not host:",
        "https://abc123.execute-api.eu-central-1.amazonaws.com/"),
    url("no loop by a Function URL", "|lambda-url", "|never", "https://abc123.lambda-url.eu-central-1.on.aws/"),
    url("no loop in China", r"(?:\.cn)?", "", "https://abc123.execute-api.cn-north-1.amazonaws.com.cn/"),
    url("no loop by dual stack", r"|api\.aws", "", "https://abc123.execute-api.us-east-1.api.aws/"),
    url("addresses that are written are checked", "if addresses.is_address(host):", "if not host:",
        "http://127.0.0.1/"),
    # What a host is.
    url("no user", r"|(?P<host>[^:\[\]@%]+)", r"|(?:[^@]*@)?(?P<host>[^:\[\]@%]+)", "https://user@example.com/"),
    url("no user is a name", r"[^:\[\]@%]+", r"[^:\[\]%]+", "https://user@example.com/", says=True),
    url("no percent-encoding in a host", r"[^:\[\]@%]+", r"[^:\[\]@]+", "https://example.com%2f.evil.net/", says=True),
    url("no zone", r"[0-9A-Fa-f:.]+)\]", r"[0-9A-Za-z:.%]+)\]", "https://[2606:4700:4700::1111%25eth0]/", says=True),
    url("digits of ASCII in a port", "[0-9]{1,5}", r"\d{1,5}", "https://example.com:\u0664\u0664\u0663/"),
    url("ports below 65,536", "not 0 < port < 65536", "not 0 < port", "https://example.com:65536/", says=True),
    url("ports above 0", "not 0 < port < 65536", "not port < 65536", "https://example.com:0/", says=True),
    url("nothing that looks like ASCII", "if not host.isascii() and", "if not host and",
        "https://\u212aelvin.example.com/"),
    url("brackets for IPv6 only", 'if (":" in name) != bool(parts["v6"]):', "if not name:", "https://[8.8.8.8]/"),
    host("names are names", "if not _NAME.fullmatch(name) or", "if", "https://exa_mple.com/"),
    host("names of 253", "(?=.{4,253}", "(?=.{4,999}", "a name of more than 253 characters"),
    host("labels of 63", "[a-z0-9-]{1,63}(?<!-)\\.)+", "[a-z0-9-]{1,64}(?<!-)\\.)+", "a label of 64"),
    host("two labels", "(?<!-)\\.)+(?!-)", "(?<!-)\\.)*(?!-)", "https://printer/"),
    host("no dash at the start", "(?:(?!-)[a-z0-9-]", "(?:[a-z0-9-]", "https://-a.example.com/"),
    host("no dash at the end", "{1,63}(?<!-)\\.)+", "{1,63}\\.)+", "https://a-.example.com/"),
    host("names end in no number", "_ENDS_IN_A_NUMBER.fullmatch(name)", "not name", "https://127.1/"),
    host("nor in one in hex", "|0x[0-9a-f]*", "", "https://example.com.0x7f/"),
    host("nor in an empty one", "0x[0-9a-f]*", "0x[0-9a-f]+", "https://example.0x/"),
    host("letters of IDNA 2008", 'raise Denied("Not a host name of IDNA 2008") from None', 'return "example.com"',
         "https://\u2603.example.com/"),
    host("no other full stops", "idna.decode(name, strict=True)", "idna.decode(name)", "https://m\u00fcnchen\u3002de/"),
    host("A-labels that can be read", 'or "xn--" in name', "", "https://xn--n3h.example.com/"),
    special("alt", "https://name.alt/"),
    special("arpa", "https://router.home.arpa/"),
    special("cluster", "https://api.default.svc.cluster/"),
    special("consul", "https://db.service.consul/"),
    special("corp", "http://db.corp/"),
    special("docker", "https://web.docker/"),
    special("home", "https://nas.home/"),
    special("internal", "https://host.docker.internal/"),
    special("intranet", "https://wiki.intranet/"),
    special("invalid", "https://app.invalid/"),
    special("lan", "https://router.lan/"),
    special("local", "http://printer.local/"),
    special("localdomain", "https://x.localdomain/"),
    special("localhost", "https://app.localhost/"),
    special("mail", "https://smtp.mail/"),
    special("onion", "http://xyz.onion/"),
    special("private", "https://db.private/"),
    special("svc", "https://kubernetes.default.svc/"),
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
    host("global unicast only", 'IPv6Network("2000::/3")', 'IPv6Network("::/0")', "https://[::ffff:10.1.2.3]/"),
    host("no zone in an answer", "not parsed.scope_id and", "", "https://zone.attacker.example.net/"),
    host("every answer counts", "if not all(map(is_public, others)):", "if not any(map(is_public, others)):",
         "https://mixed.attacker.example.net/"),
    host("the first answer counts", "map(is_public, others)", "map(is_public, others[1:])",
         "https://bad.attacker.example.net/"),
    host("the last answer counts", "map(is_public, others)", "map(is_public, others[:1])",
         "https://mixed.attacker.example.net/"),
    # What is done with them.
    fetching("the guard", "egress", "self.check(host, port, answers)", "pass", "https://zero.attacker.example.net/"),
    fetching("the guard looks at answers", "egress", "addresses.check(host, port, answers, urls.OPEN_PORTS)",
             "addresses.check(host, port, [answer for answer in answers if answer == host], urls.OPEN_PORTS)",
             "https://zero.attacker.example.net/"),
    fetching("no second look-up", "egress", "self._network.connect_tcp(address,", "self._network.connect_tcp(host,",
             "https://example.com/"),
    fetching("what is fetched is guarded", "files", "guarded=True, redirects", "guarded=False, redirects",
             "https://zero.attacker.example.net/"),
    fetching("no more than five redirects", "files", "range(MAX_REDIRECTS + 1)", "range(MAX_REDIRECTS + 2)",
             next(row.why for row in ROWS if row.why.endswith("more than 5 hops"))),
    fetching("all of five redirects", "files", "range(MAX_REDIRECTS + 1)", "range(MAX_REDIRECTS)",
             next(row.why for row in ROWS if row.why.endswith("exactly 5 hops"))),
    fetching("nothing is left out of a Location", "files", "urls.check_characters(location)", "str(location)",
             next(row.why for row in ROWS if row.why.endswith("a tab, which some leave out"))),
]
# fmt: on


@contextmanager
def mutated(mutant: Mutant, folder: Path) -> Iterator[str]:
    """Give the name of the copy in which the clause is missing."""
    name = f"mutant_{re.sub('[^a-z0-9]', '_', mutant.clause.lower())}_{abs(hash(mutant))}"
    copy = shutil.copytree(PACKAGE, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / f"{mutant.file}.py"
    source = file.read_text(encoding="utf-8")
    assert source.count(mutant.text) == 1, f"{mutant.file}.py does not have this clause once"
    file.write_text(source.replace(mutant.text, mutant.instead), encoding="utf-8")
    for path in copy.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"(?m)^(\s*(?:from|import) )integrations\b", rf"\1{name}", text), encoding="utf-8")
    if not mutant.fetched:
        # Of a package whose face is empty, reading a URL loads two modules and not all of them.
        (copy / "__init__.py").write_text("", encoding="utf-8")
    sys.path.insert(0, str(folder))
    try:
        yield name
    finally:
        sys.path.remove(str(folder))
        if f"{name}.egress" in sys.modules:
            sys.modules[f"{name}.egress"].close_clients()
        for module in [module for module in sys.modules if module.partition(".")[0] == name]:
            del sys.modules[module]


def end(tried: Callable[..., str], *arguments: Any) -> str:
    """Give how it ended, also where that is neither allowed nor denied."""
    try:
        return tried(*arguments)
    except (AssertionError, KeyError, ValueError):
        return "neither"


@pytest.mark.parametrize(
    "mutant", [mutant for mutant in OF_ROWS if not mutant.fetched], ids=lambda mutant: mutant.clause
)
def test_a_row_ends_in_another_way_without_the_clause(tmp_path: Path, mutant: Mutant) -> None:
    whole = end(of_the_web, "integrations", mutant.row)
    with mutated(mutant, tmp_path) as package:
        without = end(of_the_web, package, mutant.row)
    assert whole.partition(":")[0] == mutant.row.verdict
    if mutant.says:
        assert without != whole
    else:
        assert without.partition(":")[0] != mutant.row.verdict


@pytest.mark.parametrize("mutant", [mutant for mutant in OF_ROWS if mutant.fetched], ids=lambda mutant: mutant.clause)
def test_a_fetched_row_ends_in_another_way_without_the_clause(network: Network, tmp_path: Path, mutant: Mutant) -> None:
    assert end(fetched, provider, network, mutant.row) == verdict_over_https(mutant.row)
    with mutated(mutant, tmp_path) as package:
        assert end(fetched, provider_of(package), network, mutant.row) != verdict_over_https(mutant.row)
    network.inside.clear()


def test_no_row_ends_in_another_way_in_a_copy_with_every_clause(network: Network, tmp_path: Path) -> None:
    unchanged = fetching("none", "urls", "LONGEST = 2048", "LONGEST = 2048", "")
    with mutated(unchanged, tmp_path) as package:
        copied = provider_of(package)
        for row in ROWS[::5]:
            assert end(of_the_web, package, row) == end(of_the_web, "integrations", row)
            assert end(fetched, copied, network, row) == end(fetched, provider, network, row)


def kept_apart(package: str, network: Network, patch: pytest.MonkeyPatch) -> Any:
    return downgraded(provider_of(package), network, patch)


def tried_first(package: str, network: Network, patch: pytest.MonkeyPatch) -> Any:
    return unguarded(provider_of(package), network, patch).status


def asked_inside(package: str, network: Network, _: pytest.MonkeyPatch) -> Any:
    return led_inside(provider_of(package), network, "ask").status


def knocked_inside(package: str, network: Network, _: pytest.MonkeyPatch) -> Any:
    return led_inside(provider_of(package), network, "knock").status


def another_port(package: str, *_: Any) -> Any:
    """Say whether a port is refused that is not of the protocol."""
    addresses = importlib.import_module(f"{package}.addresses")
    try:
        addresses.check("mail.example.com", 22, [PUBLIC], (25, 587))
    except addresses.Denied:
        return True
    return False


# The clauses that no row is for, with the test that is: what it gives is another thing without the clause.
# fmt: off
OF_TESTS: list[tuple[Mutant, Callable[[str, Network, pytest.MonkeyPatch], Any]]] = [
    (fetching("no redirect from https to http", "files", 'if secured and target.scheme == "http":', "if not target:",
              "test_no_redirect_leads_from_https_to_http"), kept_apart),
    (fetching("the guard is tried", "egress", 'if inside is None or _is_refused(client, f"http://{inside}/"):',
              "if client:", "test_nothing_is_asked_for_by_a_client_without_the_guard"), tried_first),
    (fetching("a service of a setup is guarded", "http", "reply.media_type, bool(self.place)",
              "reply.media_type, False", "test_a_service_of_a_setup_that_leads_inside_is_never_connected_to"),
     asked_inside),
    (fetching("a server of a setup is checked", "tcp", "addresses.check(name, port, answers, ports)", "pass",
              "test_a_service_of_a_setup_that_leads_inside_is_never_connected_to"), knocked_inside),
    (fetching("only ports of the protocol", "addresses", "if others and port not in ports:", "if not port:",
              "test_only_the_ports_of_the_protocol_are_open"), another_port),
]
# fmt: on


def test_the_tests_that_are_named_are_there() -> None:
    files = [*Path(__file__).parents[1].rglob("test_*.py")]
    sources = "".join(file.read_text(encoding="utf-8") for file in files)
    assert not [mutant.killer for mutant, _ in OF_TESTS if f"def {mutant.killer}(" not in sources]


@pytest.mark.parametrize(("mutant", "tried"), OF_TESTS, ids=[mutant.clause for mutant, _ in OF_TESTS])
def test_a_test_ends_in_another_way_without_the_clause(
    network: Network,
    tmp_path: Path,
    mutant: Mutant,
    tried: Callable[[str, Network, pytest.MonkeyPatch], Any],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        whole = tried("integrations", network, patch)
    with mutated(mutant, tmp_path) as package, pytest.MonkeyPatch.context() as patch:
        without = tried(package, network, patch)
    assert without != whole
    network.inside.clear()
