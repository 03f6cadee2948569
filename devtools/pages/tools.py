"""docs/tools.md: one tool in the form of each vendor of language models."""

import json
import sys

from devtools.pages.markdown import block, code, codes, head, table
from devtools.tools import FORMATS, Tool
from integrations import Provider

# The shortest tool that has these shows most of what the formats say in different ways.
_KINDS = {"string", "integer", "boolean"}

_SERVER = "http://127.0.0.1:8000"


def page(providers: list[Provider], tools: list[Tool]) -> str:
    """Give the page."""
    tool, path = _chosen(tools), ""
    for provider in providers:
        for method in provider.methods:
            if f"{provider.name}_{method}" == tool.name:
                path = f"{provider.name}/{method}"
    parts = [head("Tools", "`devtools/tools/`"), _introduction(tool), _summary(tool)]
    parts += [_format(name, tool, path) for name in FORMATS]
    return "\n".join(parts)


def _chosen(tools: list[Tool]) -> Tool:
    fit = [tool for tool in tools if _kinds(tool) >= _KINDS]
    return min(fit or tools, key=lambda tool: (tool.tokens["openai"], tool.name))


def _kinds(tool: Tool) -> set[str]:
    properties = tool.definitions["mcp"]["inputSchema"]["properties"].values()
    return {str(schema.get("type")) for schema in properties}


def _introduction(tool: Tool) -> str:
    return f"""\
Each method is a tool for a language model, named `<provider>_<method>`. Vendors take different subsets of JSON Schema
and refuse a whole request for one schema that they do not take, so each has a format of its own. All are compiled from
the same pydantic models, and a tool that one of the vendors would refuse fails the tests.

* `GET /tools?format=F` gives the tools, filtered by `providers`, `tools`, `category` and `read_only`, in pages of
  `limit`.
* `GET /integrations/{{provider}}/{{method}}/tool?format=F` gives one; without the method, that of the default one.
* `integrations tools --format F` prints all, without a server.

A model calls a tool by sending arguments. Send them on as the `arguments` of `POST /execute/{{provider}}/{{method}}`:
null for an optional argument means that it is left out, as the strict format has it.

Below is {code(tool.name)} in each format. What a vendor's schema cannot say is said in the description instead.
The tokens are an estimate, a quarter of the characters; the header `X-Tool-Tokens` has it as well.
"""


def _summary(tool: Tool) -> str:
    rows = [(f"[{name}](#{name})", code(name), str(tool.tokens[name]), _members(tool, name)) for name in FORMATS]
    return table(("Format", "`format`", "Tokens", "Members"), rows)


def _members(tool: Tool, name: str) -> str:
    return codes(tool.definitions[name])


def _format(name: str, tool: Tool, path: str) -> str:
    """Give the section of a format; what is said about it is the docstring of the module that writes it."""
    about = sys.modules[FORMATS[name].__module__].__doc__ or ""
    fetch = (
        f"""$ curl -s '{_SERVER}/integrations/{path}/tool?format={name}' -H "x-api-key: $(cat .integrations/key)" """
    )
    shown = json.dumps(tool.definitions[name], indent=2, ensure_ascii=False)
    pretty = "| .venv/bin/python -m json.tool --indent 2 --no-ensure-ascii"
    return f"## {name}\n\n{about.strip()}\n\n" + block("console", f"{fetch}{pretty}\n{shown}")
