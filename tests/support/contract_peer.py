"""A peer that holds both sides to a vendor's OpenAPI file.

`ContractPeer` is an `Upstream` that judges each request, and each canned reply, by the file: a test
that passes against it has sent what the vendor accepts and has read what the vendor would answer.

The vendors' files are not quite right, so they are normalised before they judge. What is changed,
and why, stands at each step; a field that a closed object refuses is refused after it as well.
"""

import functools
import itertools
import json as jsonlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
import yaml
from jsonschema.exceptions import ValidationError, best_match

from tests.support.requirements_of_peers import peer_is_missing
from tests.support.upstream import Message, Reply, Request, Upstream, json

if TYPE_CHECKING:
    from openapi_core import OpenAPI
    from openapi_core.datatypes import RequestParameters

Schema = dict[str, Any]

PLAIN_OBJECT = {"type", "properties", "required", "additionalProperties"}
"""Keywords of schemas that can be added up into one."""
JUDGING = PLAIN_OBJECT | {"enum", "const", "not", "items", "nullable", "patternProperties"}
"""Keywords that make a schema beside `allOf` a part of its own, and not a mere description."""
FORM = "multipart/form-data"
WRITTEN = {"boolean": "^(true|false)$", "integer": "^-?[0-9]+$", "number": "^-?[0-9]+([.][0-9]+)?$"}
"""How the values of each type are written in a form."""


@dataclass(frozen=True)
class Violation:
    """One place where a request, or a canned reply, is not as the vendor's file says."""

    side: str
    """`request` or `reply`."""
    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.side} {self.where}: {self.why}"


class ContractPeer(Upstream):
    """An upstream that judges by the OpenAPI file at `specification`.

    `base` is what the vendor's base URL has in front of the file's paths, such as `/v1`. `in_body` names the paths of
    the file whose requests may have their credentials in the body, of which security schemes say nothing.
    """

    def __init__(self, specification: Path, base: str = "", *, in_body: tuple[str, ...] = ()) -> None:
        self.violations: list[Violation] = []
        """What was wrong, in the order of the requests."""
        self._contract = load_contract(specification, in_body)
        self._base = base
        self._judging = threading.Lock()
        super().__init__()

    @property
    def url(self) -> str:
        """Scheme, host, port and base."""
        return super().url + self._base

    def answer(self, request: Request) -> Reply:
        """Choose the reply, unless the request itself is refused."""
        reply = super().answer(request)
        where = f"{request.method} {request.target}"
        with self._judging:
            if refusal := self._contract.judge_request(request, self._base):
                self.violations.append(Violation("request", where, refusal))
                return json({"contract": refusal}, 400)
            if isinstance(reply, Message) and reply.judged:
                fault = self._contract.judge_reply(request, reply, self._base)
                if fault:
                    self.violations.append(Violation("reply", where, fault))
        return reply

    def verify(self) -> None:
        """Assert that nothing was violated, and what an `Upstream` asserts."""
        assert not self.violations, "\n".join(map(str, self.violations))
        super().verify()


@dataclass(frozen=True)
class Contract:
    """A vendor's file, ready to judge."""

    api: "OpenAPI"
    query_credentials: frozenset[str]
    """Query parameters that a security scheme reads; they are not listed as parameters."""

    def judge_request(self, request: Request, base: str) -> str | None:
        """Tell what is wrong with a request."""
        from openapi_core.exceptions import OpenAPIError

        asked = _AskedRequest.of(request, base)
        try:
            self.api.validate_request(asked)
            return self._undeclared(asked)
        except OpenAPIError as error:
            return _why(error)

    def judge_reply(self, request: Request, reply: Message, base: str) -> str | None:
        """Tell what is wrong with a reply.

        An error status that the file does not list is right: no vendor lists all it can send.
        """
        from openapi_core.exceptions import OpenAPIError
        from openapi_core.templating.responses.exceptions import ResponseNotFound

        try:
            self.api.validate_response(_AskedRequest.of(request, base), _GivenReply.of(reply))
        except ResponseNotFound as error:
            return None if reply.status >= 400 else str(error)
        except OpenAPIError as error:
            return _why(error)
        return None

    def _undeclared(self, asked: "_AskedRequest") -> str | None:
        """Name the query parameters the operation does not have, which the validator lets pass."""
        sent = {name.partition("[")[0] for name in asked.parameters.query}
        if not sent:
            return None
        declared = self.api.unmarshal_request(asked).parameters.query
        known = {name.partition("[")[0] for name in declared} | self.query_credentials
        return f"unknown query parameters: {sorted(sent - known)}" if sent - known else None


@dataclass
class _AskedRequest:
    """A request as openapi-core wants to see it."""

    host_url: str
    path: str
    method: str
    content_type: str
    body: bytes | None
    parameters: "RequestParameters"

    @classmethod
    def of(cls, request: Request, base: str) -> "_AskedRequest":
        from openapi_core.datatypes import RequestParameters
        from werkzeug.datastructures import Headers, ImmutableMultiDict

        query = parse_qsl(request.raw_query, keep_blank_values=True)
        return cls(
            host_url="http://peer",
            path=request.path.removeprefix(base),
            method=request.method.lower(),
            content_type=request.headers.get("content-type", ""),
            body=request.body or None,
            parameters=RequestParameters(query=ImmutableMultiDict(query), header=Headers(request.headers)),
        )


@dataclass
class _GivenReply:
    """A reply as openapi-core wants to see it."""

    status_code: int
    content_type: str
    headers: dict[str, str]
    data: bytes | None

    @classmethod
    def of(cls, reply: Message) -> "_GivenReply":
        content_type = reply.header("content-type") or ""
        return cls(reply.status, content_type, dict(reply.headers), reply.body or None)


def _why(error: BaseException) -> str:
    """The most telling message: of the schema errors the deepest, else the innermost cause."""
    while error.__cause__ is not None and not hasattr(error, "schema_errors"):
        error = error.__cause__
    found = best_match(getattr(error, "schema_errors", []))
    if found is None:
        return str(error) or type(error).__name__
    # A choice of equally bad branches is not decided: what each of them misses is told.
    missed = sorted({_located(leaf) for leaf in _leaves(found)}, key=len)
    return "; or ".join(missed[:5])


def _leaves(error: ValidationError) -> list[ValidationError]:
    branches = error.context or []
    return [leaf for branch in branches for leaf in _leaves(branch)] or [error]


def _located(error: ValidationError) -> str:
    return f"{error.json_path}: {error.message}"[:300]


# Reading and normalising a vendor's file.


@functools.cache
def load_contract(specification: Path, in_body: tuple[str, ...] = ()) -> Contract:
    """Read a vendor's file once a process: the largest takes more than a second."""
    from openapi_core import Config, OpenAPI

    text = specification.read_text(encoding="utf-8")
    is_json = specification.suffix == ".json"
    document = jsonlib.loads(text) if is_json else yaml.load(text, yaml.CSafeLoader)
    for path in in_body:
        document["paths"][path]["post"]["security"] = []
    # The check of the file itself is off: it refuses every second vendor's file (duplicate
    # `required`, no version, 3.0 keywords in a 3.1 file), while the parts used here are sound.
    config = Config(spec_validator_cls=None)  # type: ignore[arg-type]  # its own "off" value
    api = OpenAPI.from_dict(_Normaliser(document).document(), config)
    schemes = document.get("components", {}).get("securitySchemes", {}).values()
    in_query = frozenset(scheme["name"] for scheme in schemes if scheme.get("in") == "query")
    return Contract(api, in_query)


@dataclass
class _Normaliser:
    """Rewrites a vendor's file so that it accepts what is right and refuses what is wrong."""

    original: Schema
    schemas: Schema = field(init=False)

    def __post_init__(self) -> None:
        self.schemas = self.original.get("components", {}).get("schemas", {})

    def document(self) -> Schema:
        """The file, rewritten; the original stays as it is, since references are read from it."""
        rewritten: Schema = self._rewrite(self.original)
        return rewritten

    def _rewrite(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._rewrite(item) for item in node]
        if not isinstance(node, dict):
            return node
        node = self._without_what_misjudges(node)
        if isinstance(node.get("allOf"), list):
            node = self._closed_as_a_whole(node)
        if isinstance(node.get(FORM), dict):
            node = {**node, FORM: {**node[FORM], "schema": self._as_written_in_a_form(node[FORM].get("schema", {}))}}
        return {key: self._rewrite(value) for key, value in node.items()}

    def _without_what_misjudges(self, node: Schema) -> Schema:
        node = dict(node)
        if isinstance(node.get("servers"), list):
            del node["servers"]  # the peer is no server of the vendor's
        if "propertyName" in (node.get("discriminator") or ()):
            del node["discriminator"]  # OpenAI's name no mapping; the schemas decide alone
        if isinstance(node.get("oneOf"), list) and "anyOf" not in node:
            node["anyOf"] = node.pop("oneOf")  # branches overlap (Algolia, OpenAI): several match
        if node.get("format") == "binary":
            node.pop("type", None)  # a file in a form is read as bytes, which a 3.1 string is not
        if node.get("type") in ("oauth2", "openIdConnect") and "in" not in node:
            node = {"type": "http", "scheme": "bearer"}  # how the token travels, and can be judged
        if node.get("in") == "path" and isinstance(node.get("schema"), dict):
            # Azure lists its sample value, Gemini a pattern that spans a slash.
            kept = node["schema"].items()
            node["schema"] = {key: value for key, value in kept if key not in ("enum", "pattern")}
        return node

    def _as_written_in_a_form(self, schema: Schema) -> Schema:
        """Describe the fields as they are written: all of a form is text, and null is a field that is not there.

        The validator does not read numbers and booleans out of the parts of multipart/form-data by itself.
        """
        schema = self._resolved(schema)
        fields = {name: self._field(self._resolved(field)) for name, field in schema.get("properties", {}).items()}
        return {**schema, "properties": fields} if fields else schema

    def _field(self, field: Schema) -> Schema:
        branches = [branch for branch in field.get("anyOf", []) if branch.get("type") != "null"]
        if len(branches) == 1:
            field = {**{key: value for key, value in field.items() if key != "anyOf"}, **self._resolved(branches[0])}
        pattern = WRITTEN.get(str(field.get("type")))
        return {"type": "string", "pattern": pattern} if pattern else field

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self.schemas[schema["$ref"].rsplit("/", 1)[-1]]
        return schema

    def _closed_as_a_whole(self, node: Schema) -> Schema:
        """Close the sum of the parts where a part is closed (Algolia, Anthropic).

        Taken word for word, a part that allows no further properties refuses those of its
        siblings, and nothing could match. What the vendor means is that the sum is closed.
        """
        sums = self._sums(node)
        if not any(len(parts) > 1 and any(map(_is_closed, parts)) for parts in sums):
            return node
        wholes = [_whole(parts) for parts in sums]
        return wholes[0] if len(wholes) == 1 else {"anyOf": wholes}

    def _sums(self, schema: Schema) -> list[list[Schema]]:
        """Each way to satisfy a schema, as the parts that are added up in it.

        There is more than one way where a part is a choice: (A or B) and C is AC or BC.
        """
        schema = self._resolved(schema)
        factors = [self._sums(member) for member in schema.get("allOf", [])]
        if choice := schema.get("anyOf") or schema.get("oneOf"):
            factors.append([parts for branch in choice for parts in self._sums(branch)])
        own = {key: value for key, value in schema.items() if key not in _COMBINING}
        if own.keys() & JUDGING or not factors:
            factors.append([[own]])
        return [list(itertools.chain(*chosen)) for chosen in itertools.product(*factors)]


_COMBINING = {"allOf", "anyOf", "oneOf"}


def _is_closed(schema: Schema) -> bool:
    return schema.get("additionalProperties") is False


def _whole(parts: list[Schema]) -> Schema:
    """One schema for a sum: a single object where all parts are plain objects."""
    if any(not part.keys() & JUDGING <= PLAIN_OBJECT for part in parts):
        return {"allOf": [part | {"additionalProperties": True} for part in parts]}
    properties: Schema = {}
    for name, value in itertools.chain(*(part.get("properties", {}).items() for part in parts)):
        properties[name] = {"allOf": [properties[name], value]} if name in properties else value
    open_parts = [part["additionalProperties"] for part in parts if part.get("additionalProperties")]
    return {
        "type": "object",
        "properties": properties,
        "required": sorted({name for part in parts for name in part.get("required", [])}),
        "additionalProperties": open_parts[0] if open_parts else not any(map(_is_closed, parts)),
    }


# The fixture.


@pytest.fixture
def contract_peer() -> Iterator[Callable[..., ContractPeer]]:
    """A function from a file below `CONTRACTS_DIR` (and a base) to a peer that judges by it.

    Teardown fails when a peer saw a violation, or when script and requests did not meet.
    """
    folder = os.environ.get("CONTRACTS_DIR")
    if not folder:
        peer_is_missing("CONTRACTS_DIR does not name the folder with the vendors' OpenAPI files")
    peers: list[ContractPeer] = []

    def make(file: str, base: str = "", *, in_body: tuple[str, ...] = ()) -> ContractPeer:
        peers.append(ContractPeer(Path(folder) / file, base, in_body=in_body))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()
    for peer in peers:
        peer.verify()
