"""What each vendor takes: the facts that the formats are written by and the lint judges by.

Where a vendor's contract does not say it, it was learnt from what its API answers; the source stands beside it.
"""

import re
from dataclasses import dataclass

_OBJECT = frozenset({"type", "properties", "required", "additionalProperties"})
_COMMON = frozenset(
    {"type", "description", "properties", "required", "items", "enum", "minItems", "minimum", "maximum"}
)

JSON_SCHEMA_KEYWORDS = (
    _COMMON
    | _OBJECT
    | {"anyOf", "prefixItems", "propertyNames", "patternProperties", "default", "format", "pattern"}
    | {"contentEncoding", "contentMediaType"}
    | {"minLength", "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties"}
    | {"exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
)
# https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
STRICT_KEYWORDS = (
    _COMMON | _OBJECT | {"anyOf", "format", "pattern", "maxItems", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
)
STRICT_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
# No maxItems: a request whose maxItems add up to about a thousand is refused (googleapis/python-genai#2170), and how
# many tools stand beside this one is not known here.
GEMINI_KEYWORDS = _COMMON | {"anyOf", "nullable", "pattern", "minLength", "maxLength"}
# https://ai.google.dev/gemini-api/docs/structured-output#json_schema_support
GEMINI_JSON_SCHEMA_KEYWORDS = _COMMON | {"additionalProperties", "anyOf", "prefixItems"}
BEDROCK_ROOT = frozenset({"type", "properties", "required"})
AGENTCORE_KEYWORDS = frozenset({"type", "properties", "required", "items", "description"})

_JSON_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})

# getsentry/sentry-mcp#106: the answer of Chat Completions to a longer description.
_OPENAI_TEXT = 1024

# anthropics/claude-code#79418: one other key and the whole request is refused.
_PLAIN_KEY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What one format of one vendor takes.

    `members` are the keys of a definition, below `level`; `schema` leads from there to the schema.
    """

    vendor: str
    members: frozenset[str]
    schema: tuple[str, ...]
    level: tuple[str, ...] = ()
    name: re.Pattern[str] = re.compile(r"[a-zA-Z0-9_-]{1,64}")
    name_is: str = "1 to 64 letters, digits, _ and -"
    most_text: int | None = None
    keywords: frozenset[str] = JSON_SCHEMA_KEYWORDS
    root: frozenset[str] = _OBJECT
    types: frozenset[str] = _JSON_TYPES
    key: re.Pattern[str] | None = None
    needs_type: bool = False
    several_types: bool = True


OPENAI = Rules(
    vendor="OpenAI",
    level=("function",),
    members=frozenset({"name", "description", "parameters", "strict"}),
    schema=("parameters",),
    most_text=_OPENAI_TEXT,
)
OPENAI_RESPONSES = Rules(
    vendor="OpenAI",
    members=frozenset({"type", "name", "description", "parameters", "strict"}),
    schema=("parameters",),
    most_text=_OPENAI_TEXT,
)
OPENAI_STRICT = Rules(
    vendor="OpenAI (strict)",
    members=frozenset({"type", "name", "description", "parameters", "strict"}),
    schema=("parameters",),
    most_text=_OPENAI_TEXT,
    keywords=STRICT_KEYWORDS,
    needs_type=True,
)
ANTHROPIC = Rules(
    vendor="Anthropic",
    members=frozenset({"name", "description", "input_schema"}),
    schema=("input_schema",),
    key=_PLAIN_KEY,
)
GEMINI = Rules(
    vendor="Gemini",
    members=frozenset({"name", "description", "parameters"}),
    schema=("parameters",),
    name=re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}"),
    name_is="1 to 64 letters, digits, _, ., : and -, the first a letter or _",
    keywords=GEMINI_KEYWORDS | {"maxItems"},
    root=BEDROCK_ROOT,
    types=frozenset(kind.upper() for kind in _JSON_TYPES),
    needs_type=True,
    several_types=False,
)
GEMINI_JSON_SCHEMA = Rules(
    vendor="Gemini",
    members=frozenset({"name", "description", "parametersJsonSchema"}),
    schema=("parametersJsonSchema",),
    name=GEMINI.name,
    name_is=GEMINI.name_is,
    keywords=GEMINI_JSON_SCHEMA_KEYWORDS | {"maxItems"},
)
BEDROCK = Rules(
    vendor="Bedrock",
    level=("toolSpec",),
    members=frozenset({"name", "description", "inputSchema"}),
    schema=("inputSchema", "json"),
    # https://docs.aws.amazon.com/nova/latest/userguide/tool-use-definition.html
    root=BEDROCK_ROOT,
    key=_PLAIN_KEY,  # Anthropic's models are behind it too
)
AGENTCORE = Rules(
    vendor="AgentCore",
    members=frozenset({"name", "description", "inputSchema"}),
    schema=("inputSchema",),
    keywords=AGENTCORE_KEYWORDS,
    root=BEDROCK_ROOT,
    types=_JSON_TYPES - {"null"},
    needs_type=True,
    several_types=False,
)
MCP = Rules(
    vendor="MCP",
    members=frozenset({"name", "description", "inputSchema", "outputSchema", "annotations"}),
    schema=("inputSchema",),
    name=re.compile(r"[a-zA-Z0-9_.-]{1,128}"),
    name_is="1 to 128 letters, digits, _, . and -",
)
