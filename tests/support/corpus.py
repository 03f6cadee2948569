"""URLs that callers may and may not give: the rows of tests/corpora/ssrf.tsv and urls.tsv, and what becomes of them."""

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.calls import post
from tests.support.network import Network
from tests.support.upstream import Reply, Request, redirect, text

FOLDER = Path(__file__).parents[1] / "corpora"
ALLOW, DENY = "allow", "deny"
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Row:
    """One URL: what the resolver answers for its host, where its page redirects to, and what is to become of it."""

    url: str
    verdict: str
    why: str
    answers: tuple[str, ...]
    chain: tuple[str, ...]

    @property
    def name(self) -> str:
        """The row's name in a test."""
        return re.sub(r"[^\x21-\x7e]", "?", self.url[:60]) + (f" {self.why}" if self.answers or self.chain else "")


def _row(line: str) -> Row:
    url, verdict, why = line.split("\t")
    dns, chain = re.search(r"\[dns:([^]]*)\]", why), re.search(r"\[redirect:(.*)\](?: |$)", why)
    return Row(
        url=_unescaped(url),
        verdict=verdict,
        why=why,
        answers=tuple(dns[1].split(",")) if dns else (),
        chain=tuple(map(_unescaped, chain[1].split(" -> "))) if chain else (),
    )


def _unescaped(text: str) -> str:
    return re.sub(r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})", lambda found: chr(int(found[1] or found[2], 16)), text)


ROWS = [
    _row(line)
    for file in ("ssrf.tsv", "urls.tsv")
    for line in (FOLDER / file).read_text(encoding="utf-8").splitlines()
    if not line.startswith(("#", "url\t"))
]


def of_the_web(package: str, row: Row) -> str:
    """Say what becomes of a row where plain http is open too, and why, with what a resolver answers."""
    urls, addresses = (importlib.import_module(f"{package}.{name}") for name in ("urls", "addresses"))
    try:
        target = urls.parsed(row.url, urls.WEB)
        if row.answers:
            addresses.check(target.host, target.port, row.answers, urls.OPEN_PORTS)
    except addresses.Denied as denied:
        return f"{DENY}: {denied}"
    return ALLOW


def fetched(provider: Any, network: Network, row: Row) -> str:
    """Fetch the row's URL as a file by a call, and say what became of it. Credentials go with no request."""
    network.forget()
    if row.answers:
        network.names[urlsplit(row.url).hostname or ""] = [*row.answers]
    hops = iter(row.chain)

    def page(request: Request) -> Reply:
        assert not {"authorization", "cookie", "referer", "x-fetching-key"} & request.headers.keys()
        location = next(hops, None)
        return redirect(location) if location else text("the web")

    network.tls.route(page)
    reply = post(provider, {"arguments": {"file": row.url}}, method="fetch", seconds=8)
    if reply.status == 200:
        assert reply.body["content"] == "the web"
        return ALLOW
    # Half a character is no JSON.
    assert reply.status == (422 if not _SURROGATE.search(row.url) else 400), reply.text
    assert reply.body["errors"][0]["loc"] == ["arguments", "file"]
    return DENY


def verdict_over_https(row: Row) -> str:
    """Say what is to become of a row where only https is open."""
    return row.verdict if row.url.lower().startswith("https:") else DENY
