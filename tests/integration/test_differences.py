"""Each deliberate difference from the original service is what docs/differences/ says: its calls are made.

An entry of those files has `name`, `kind`, `there` and `here`, the two texts of docs/differences.md, and `calls`.
Values that are JSON stand in a text, since TOML has no null. A call has

* `request`, the method and the target; `body`; `headers`; `key = false` for a call without a key,
* `answers`, what the service answers: `json`, or `text` of a `type`, and a `status`; without them it answers as to the
  calls of events/,
* `requests`, how many requests or messages reached the service, and `logins`, how often a mail server was signed in to,
* `sent`, a part of the last one: a form is `form`, the texts of each field, and `files`,
* `status`, `reply` (a part of the body), `absent` (texts that are nowhere in it) and `absent_headers`.

`<300 letters>` in a body stands for so many letters, `<key file>` for the one of events/google_sheets.*, `<key file 2>`
for the same in another spelling, whose tokens are kept apart, and `...` in a reply for any text.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from devtools.pages import differences
from devtools.project import provider_names
from tests.support import upstream as script
from tests.support.peers import Peers
from tests.support.serving import Bundle
from tests.support.shown import assert_contains, content, written
from tests.support.upstream import Message, Upstream

ENTRIES = [(about, entry) for about, path in differences.files().items() for entry in differences.entries(path)]
KEYS = {
    "request", "body", "headers", "key", "answers", "requests", "logins", "sent",
    "status", "reply", "absent", "absent_headers",
}  # fmt: skip


def test_the_list_is_whole() -> None:
    assert {about for about, _ in ENTRIES} <= {differences.OF_ALL, *provider_names()}
    names = [(about, entry["name"]) for about, entry in ENTRIES]
    assert len(set(names)) == len(names)
    for about, entry in ENTRIES:
        assert entry["calls"], entry["name"]
        for call in entry["calls"]:
            assert {"request", "status"} <= call.keys() <= KEYS, entry["name"]
            assert call.keys() & {"reply", "sent", "absent", "absent_headers"} or call["status"] in (200, 403), about


@pytest.mark.parametrize(("about", "entry"), ENTRIES, ids=[f"{about}: {entry['name']}" for about, entry in ENTRIES])
def test_it_is_as_the_list_says(documented: Bundle, scripted: Peers, about: str, entry: dict[str, Any]) -> None:
    for call in entry["calls"]:
        method, _, target = call["request"].partition(" ")
        name = target.split("/")[2] if target.startswith("/execute/") else ""
        services = Services(scripted, name)
        if "answers" in call:
            services.upstream.replies(*map(answer, json.loads(call["answers"])))
        headers = json.loads(call.get("headers", "{}"))
        if call.get("key", True):
            headers["x-api-key"] = documented.key or ""
        reply = documented.ask(method, target, headers=headers, content=scripted.aimed(written(call.get("body", ""))))
        assert reply.status_code == call["status"], reply.text
        if "reply" in call:
            assert_contains(reply.json(), json.loads(call["reply"]))
        assert not [text for text in call.get("absent", ()) if text in reply.text]
        assert not [header for header in call.get("absent_headers", ()) if header in reply.headers]
        services.check(call)


def answer(told: dict[str, Any]) -> Message:
    status = told.get("status", 200)
    if "text" in told:
        return script.content(told["text"].encode(), told["type"], status)
    return script.json(told["json"], status)


class Services:
    """What the calls of one entry reached: the upstream of a provider, or the mail servers."""

    def __init__(self, peers: Peers, name: str) -> None:
        self._mail = peers.mail.values()
        self._upstream = peers.upstreams.get(name)

    @property
    def upstream(self) -> Upstream:
        assert self._upstream is not None, (
            "only a service that speaks HTTP and is no real server can be told its answers"
        )
        return self._upstream

    def check(self, call: dict[str, Any]) -> None:
        """Assert what the call says of them, and start counting anew."""
        requests = list(self._requests())
        if "requests" in call:
            assert len(requests) == call["requests"]
        if "sent" in call:
            assert_contains(requests[-1], json.loads(call["sent"]))
        if "logins" in call:
            assert sum(len(server.logins) for server in self._mail) == call["logins"]
        if self._upstream:
            self._upstream.requests.clear()
        for server in self._mail:
            server.received.clear()
            server.logins.clear()

    def _requests(self) -> Iterator[dict[str, Any]]:
        for request in self._upstream.requests if self._upstream else ():
            yield {"path": request.path, "query": request.query, "headers": request.headers, **content(request)}
        for server in self._mail:
            for mail in server.received:
                yield {
                    "recipients": mail.recipients,
                    "encrypted": mail.encrypted,
                    "login": mail.login,
                    "subject": mail.message["subject"],
                    "type": mail.message.get_content_type(),
                }
