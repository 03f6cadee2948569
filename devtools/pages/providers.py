"""docs/providers.md: what each provider and each of its methods takes and gives, from functions/*/provider.py."""

import ast
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

from devtools.errors import CommandError
from devtools.pages.markdown import anchor, block, code, codes, head, table, text
from devtools.project import ROOT
from devtools.provider_blocks import pascal
from devtools.tools.schema import Schema, of_arguments, of_output
from devtools.tools.wording import ORDER, in_words
from integrations import Provider
from integrations.handler import MAX_BODY, MAX_BODY_WITH_FILES
from integrations.provider import Method, names_of_fields

_SERVER = "http://127.0.0.1:8000"
_LONGEST_LINE = 1000  # characters; a longer call is sent from the file that holds it

# What judges the tests of a provider: the word in their JUDGE, and how it reads.
_JUDGES = {
    "server": "a real server, {}",
    "program": "the real program, {}",
    "contract": "the vendor's own API description, `{}`",
    "script": "scripted answers {}",
}


def page(providers: list[Provider]) -> str:
    """Give the page."""
    parts = [head("Providers", "`functions/*/provider.py`"), _INTRODUCTION, _summary(providers)]
    return "\n".join([*parts, *(_provider(provider) for provider in providers)])


_INTRODUCTION = """\
The first method of each provider is the default one: `POST /execute/{provider}` calls it as well. The calls shown are
the files of `events/`; a test makes them, with peers on loopback.

A setup is sent with the call or [stored](local.md#connections). What is marked secret is never shown. An environment
variable is read by `integrations serve` and `integrations invoke` only, never in AWS. A name that is "also taken" is
that of the [original service](original.md).

The judge of a provider's tests says what its requests and the reading of its answers are held against.
"""


def _summary(providers: list[Provider]) -> str:
    rows = [
        (
            f"[{text(provider.title)}](#{anchor(provider.title)})",
            code(provider.name),
            ", ".join(f"[`{name}`](#{anchor(f'{provider.name}.{name}')})" for name in provider.methods),
            provider.category,
            _judge(provider),
        )
        for provider in providers
    ]
    return table(("Provider", "Name", "Methods", "Category", "Judge of its tests"), rows)


def _provider(provider: Provider) -> str:
    facts = [
        f"[The service]({provider.url}) · [its documentation]({provider.docs}) · category `{provider.category}`, "
        f"deployed where the stack's `Enable{pascal(provider.category)}` is true",
        f"Judge of its tests: {_judge(provider)}; faults are scripted",
        *_reached(provider),
    ]
    parts = [f"## {text(provider.title)}\n", "\n".join(f"* {fact}." for fact in facts) + "\n", *_setup(provider)]
    return "\n".join([*parts, *(_method(provider, method) for method in provider.methods.values())])


def _judge(provider: Provider) -> str:
    return judge(ROOT / "tests" / "providers" / f"test_{provider.name}.py")


def judge(tests: Path) -> str:
    """Say what judges the tests of this file."""
    declared = judge_of(tests)
    if not declared:
        return "no tests yet"
    first = _JUDGES[declared["kind"]].format(declared.get("name", "")).rstrip()
    return f"{first}, and {declared['besides']}" if "besides" in declared else first


def judge_of(tests: Path) -> dict[str, str] | None:
    """Read what a file of tests declares as its JUDGE; None where it declares nothing. Raise CommandError."""
    if not tests.exists():
        return None
    for node in ast.parse(tests.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["JUDGE"]:
            declared: dict[str, str] = ast.literal_eval(node.value)
            if declared.get("kind") not in _JUDGES:
                raise CommandError(f"{tests.name}: the kind of a JUDGE is one of {', '.join(_JUDGES)}.")
            return declared
    return None


def _reached(provider: Provider) -> Iterator[str]:
    """Say how the service is reached, and how long that may take."""
    if not any(map(_asks_a_service, provider.methods.values())):
        yield "It runs inside the function: no service is asked"
        return
    if provider.base_urls:
        yield f"Base URL: {codes(provider.base_urls)}; `{provider.name.upper()}_BASE_URL` replaces it"
    else:
        yield "It does not speak HTTP; the setup names the host"
    yield f"One attempt ends after {provider.attempt_timeout:g} s at most, and the call before API Gateway gives up"
    if provider.min_interval:
        yield f"The service is asked once in {provider.min_interval:g} s; a call waits for its turn, within its time"


def _asks_a_service(method: Method) -> bool:
    return bool({"http", "tcp"} & {*method.parameters})


def _setup(provider: Provider) -> Iterator[str]:
    if provider.setup is None:
        yield "It takes no setup.\n"
        return
    schema, names = of_arguments(provider.setup), names_of_fields(provider.setup)
    rows = [
        (
            code(name),
            _kind(node) + (", secret" if node.get("format") == "password" else ""),
            _default(name, node, schema),
            code(f"{provider.name.upper()}_{names[name].upper()}"),
            codes(_others(name, names)),
            _words(node),
        )
        for name, node in schema["properties"].items()
    ]
    yield "Setup:\n"
    yield table(("Field", "Type", "Default", "Environment", "Also taken", "Meaning"), rows)


def _method(provider: Provider, method: Method) -> str:
    parts = [f"### {provider.name}.{method.name}\n", f"{text(method.description)}\n", f"{_effects(method)}\n"]
    arguments = of_arguments(method.arguments)
    if arguments["properties"]:
        names = method.argument_names
        rows = [
            (code(place), _kind(node), _default(name, node, of), codes(_others(place, names)), _words(node))
            for place, name, node, of in _fields(arguments)
        ]
        parts.append(table(("Argument", "Type", "Default", "Also taken", "Meaning"), rows))
    given = [(code(place), _kind(node), _words(node)) for place, _, node, _ in _fields(of_output(method.output))]
    parts += ["Output:\n", table(("Field", "Type", "Meaning"), given)]
    return "\n".join([*parts, *_example(provider, method)])


def _effects(method: Method) -> str:
    """Say what a call does, in the words of MCP's annotations, and what follows from it."""
    words = {
        "read_only": method.read_only,
        "destructive": method.destructive,
        "idempotent": method.idempotent,
        "open_world": method.open_world,
    }
    effects = ", ".join(code(word) for word, holds in words.items() if holds) or "none of the annotations"
    again = ""
    if _asks_a_service(method):
        again = (
            "A request that failed for now is repeated, at most twice. "
            if method.repeatable
            else "What may have arrived is not sent again. "
        )
    limit = MAX_BODY_WITH_FILES if method.files else MAX_BODY
    return f"Effect: {effects}. {again}A body holds at most {limit // 1_048_576} MiB."


def _example(provider: Provider, method: Method) -> Iterator[str]:
    """Show the event of the method as a call over HTTP, of the default one from a shell too, with what comes back."""
    path = ROOT / "events" / f"{provider.name}.{method.name}.json"
    if not path.exists():
        return
    address = f"{_SERVER}/execute/{provider.name}/{method.name}"
    curl = f'curl -s {address} -H "x-api-key: $(cat .integrations/key)" -d'
    members = [json.dumps(name) for name in of_output(method.output)["properties"]]
    place = path.relative_to(ROOT)
    event = json.loads(path.read_text(encoding="utf-8"))
    body = {name: event[name] for name in ("arguments", "setup", "connection") if name in event}
    line = f"$ {curl} {shlex.quote(json.dumps(body, ensure_ascii=False))}"
    if len(line) > _LONGEST_LINE:
        # Over HTTP the method is in the path, so its line goes.
        line = f"$ sed '/\"method\":/d' {place} | {curl} @-"
    yield block("console", f"{line}\n{{{','.join(f'{name}:...' for name in members)}}}")
    if method.name == provider.default_method:
        shown = "\n".join(f"  {name}: ..." for name in members)
        invoke = f"$ .venv/bin/integrations invoke {provider.name}.{method.name} -e {place}"
        yield block("console", f"{invoke}\n{{\n{shown}\n}}")


# Schemas as rows.


def _fields(schema: Schema, place: str = "") -> Iterator[tuple[str, str, Schema, Schema]]:
    """Give every field of an object, with its place, its name and the object that it is a field of."""
    for name, node in schema.get("properties", {}).items():
        where = f"{place}.{name}" if place else name
        yield where, name, node, schema
        yield from _inside(node, where)


def _inside(node: Schema, place: str) -> Iterator[tuple[str, str, Schema, Schema]]:
    yield from _fields(node, place)
    for branch in node.get("anyOf", []):
        yield from _inside(branch, place)
    if isinstance(node.get("items"), dict):
        yield from _inside(node["items"], f"{place}[]")


def _kind(node: Schema) -> str:
    """Name the type of a field."""
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(_kind(branch) for branch in node["anyOf"]))
    if node.get("type") == "array":
        items = _kind(node["items"]) if node.get("items") else "anything"
        return f"array of {items}"
    return str(node.get("type", "anything"))


def _default(name: str, node: Schema, of: Schema) -> str:
    if name in of.get("required", []):
        return "required"
    return code(json.dumps(node["default"], ensure_ascii=False)) if "default" in node else "none"


def _others(name: str, names: dict[str, str]) -> list[str]:
    """Give the other names that a field may be sent under."""
    return [other for other, field in names.items() if name in names and field == names[name] and other != name]


def _words(node: Schema) -> str:
    """Give the description and, in words, the limits: those of the field, of the branches of a choice, of an item."""
    limits = dict(node)
    for branch in node.get("anyOf", []):
        limits = branch | limits
    found = [text(node["description"])] if "description" in node else []
    found += _said(limits)
    of_items = _said(node["items"]) if node.get("type") == "array" and "items" in node else []
    return " ".join([*found, *(["Of each item:", *of_items] if of_items else [])])


def _said(node: Schema) -> list[str]:
    """Say the keywords, in the order of the table of sentences; a pattern is code."""
    told = {key: value for key, value in node.items() if key in ORDER and key not in ("default", "pattern")}
    if node.get("format") == "password":
        del told["format"]
    said = [in_words(key, told[key]) for key in sorted(told, key=ORDER.index)]
    pattern = [f"Matches {code(node['pattern'])}."] if "pattern" in node else []
    return [*(text(words) for words in said if words), *pattern]
