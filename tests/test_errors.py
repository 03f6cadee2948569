"""The one table of errors, as callers rely on it."""

import pytest

from integrations import errors
from integrations.errors import IntegrationError

# Class, code, HTTP status, whether the same call may succeed later: None means by the method's effect.
TABLE = [
    ("InvalidRequest", "invalid_request", 400, False),
    ("IdempotencyKeyMissing", "idempotency_key_missing", 400, False),
    ("Forbidden", "forbidden", 403, False),
    ("UnknownProvider", "unknown_provider", 404, False),
    ("UnknownMethod", "unknown_method", 404, False),
    ("UnknownConnection", "unknown_connection", 404, False),
    ("JobNotFound", "job_not_found", 404, False),
    ("NotFound", "not_found", 404, False),
    ("MethodNotAllowed", "method_not_allowed", 405, False),
    ("IdempotencyInProgress", "idempotency_in_progress", 409, True),
    ("PayloadTooLarge", "payload_too_large", 413, False),
    ("InvalidArguments", "invalid_arguments", 422, False),
    ("InvalidSetup", "invalid_setup", 422, False),
    ("UrlDenied", "url_denied", 422, False),
    ("CommandDenied", "command_denied", 422, False),
    ("IdempotencyKeyReused", "idempotency_key_reused", 422, False),
    ("UpstreamRejected", "upstream_rejected", 422, False),
    ("MissingSetup", "missing_setup", 424, False),
    ("RateLimited", "rate_limited", 429, True),
    ("BudgetExceeded", "budget_exceeded", 429, True),
    ("InternalError", "internal", 500, False),
    ("Misconfigured", "misconfigured", 500, False),
    ("UpstreamDenied", "upstream_denied", 502, False),
    ("UpstreamError", "upstream_error", 502, None),
    ("UpstreamUnreachable", "upstream_unreachable", 502, None),
    ("UpstreamBadResponse", "upstream_bad_response", 502, None),
    ("ResponseTooLarge", "response_too_large", 502, False),
    ("UpstreamRateLimited", "upstream_rate_limited", 503, True),
    ("CircuitOpen", "circuit_open", 503, True),
    ("DependencyUnavailable", "dependency_unavailable", 503, True),
    ("UpstreamTimeout", "upstream_timeout", 504, None),
    ("DeadlineExceeded", "deadline_exceeded", 504, None),
]


@pytest.mark.parametrize(("name", "code", "status", "retryable"), TABLE)
def test_each_row(name: str, code: str, status: int, *, retryable: bool | None) -> None:
    kind: type[IntegrationError] = getattr(errors, name)
    assert (kind.code, kind.status, kind.retryable) == (code, status, retryable)


def test_there_are_no_other_rows() -> None:
    assert {kind.__name__ for kind in IntegrationError.__subclasses__()} == {row[0] for row in TABLE}


def test_the_tree_in_the_docstring_names_every_class_with_its_status() -> None:
    assert errors.__doc__ is not None
    drawn = [line.split()[1:3] for line in errors.__doc__.splitlines() if line.startswith("    x ")]
    assert sorted(drawn) == sorted([name, str(status)] for name, _, status, _ in TABLE)
