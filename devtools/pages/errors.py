"""docs/errors.md: every way in which a call can fail, from integrations/errors.py."""

import json

from devtools import asl
from devtools.error_tree import groups
from devtools.pages.markdown import block, code, head, table
from integrations import errors
from integrations.errors import IntegrationError

_AGAIN = {True: "yes", False: "no", None: "by the effect"}


def page() -> str:
    """Give the page."""
    parts = [head("Errors", "`layers/common/python/integrations/errors.py`"), _INTRODUCTION, _example()]
    for group, leaves in groups().items():
        parts += [f"## To do: {group}\n", table(_COLUMNS, [_row(kind, meaning) for kind, meaning in leaves])]
    return "\n".join([*parts, _in_state_machines()])


_COLUMNS = ("Class: the error name", "`code`", "HTTP", "Again?", "Meaning")


def _row(kind: type[IntegrationError], meaning: str) -> tuple[str, ...]:
    return code(kind.__name__), code(kind.code), str(kind.status), _AGAIN[kind.retryable], meaning


_INTRODUCTION = """\
A call that fails is told in one form. Over HTTP it is a problem of RFC 9457, `application/problem+json`, with the
status below. To Step Functions, EventBridge, Scheduler and a direct invoke the same error is raised: its name is the
class below, its message is the problem as JSON, and there is no trace.

* `detail` says what to do, in the bundle's own words; `error` is the same text. No input value, no secret and no text
  of the service is in it.
* `code` names the kind of error, and does not change. So does `type`, `urn:integrations:error:` and the code.
* `errors` lists the fields at fault, where there are some: `loc` is the place, `type` and `message` say what is wrong.
* `retryable` says whether the very same call may succeed later. "By the effect" below means: true for a method that
  may be repeated, false for one that may not, unless nothing of the request was sent.
* `retry_after`, in seconds, is there where the service said when; over HTTP it is also the header `Retry-After`.
* `upstream_status` is the status that the service answered, or the code of its reply in another protocol.
* `correlation_id` is the one of the call, by which its log line is found.

The bundle has already repeated what may be repeated, at most twice, before it tells an error of a service.
"""


def _example() -> str:
    limited = errors.UpstreamRateLimited(
        "The service asks for fewer calls; call again later.", retry_after=30, upstream_status=429
    )
    limited.explain("acme", None, "5f1c2d3e-0000-4000-8000-000000000001")
    return block("json", json.dumps(limited.problem, indent=2))


def _in_state_machines() -> str:
    of_lambda, waiting, by_effect = asl.retry(repeatable=True)
    not_started, _ = asl.retry(repeatable=False)
    return "\n".join(
        [
            "## In a state machine\n",
            "Names in `ErrorEquals` are the classes. `integrations asl PROVIDER.METHOD` prints a whole state, of which",
            "[Step Functions](step-functions.md) tells more. These wait and call again whatever the method is; the",
            "first says that Lambda took no call:\n",
            block("json", json.dumps({"Retry": [not_started, waiting]}, indent=2)),
            "These too, for a method that only reads or may be repeated:\n",
            block("json", json.dumps({"Retry": [of_lambda, by_effect]}, indent=2)),
        ]
    )
