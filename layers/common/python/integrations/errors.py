"""What can go wrong, arranged by what the caller should do next.

* IntegrationError
  - fix the call
    x InvalidRequest          400  the request is not a call: not JSON, unknown keys, not an object
    x IdempotencyKeyMissing   400  a write needs an idempotency key
    x Forbidden               403  the API key's scope does not hold this
    x UnknownProvider         404  no provider has that name
    x UnknownMethod           404  the provider has no method of that name
    x UnknownConnection       404  no connection is stored under that name
    x JobNotFound             404  no job has that id
    x NotFound                404  no route goes there
    x MethodNotAllowed        405  the route exists, for another HTTP method
    x PayloadTooLarge         413  send less
    x InvalidArguments        422  the arguments do not fit the method
    x InvalidSetup            422  the setup does not fit the provider
    x UrlDenied               422  the URL goes where no caller may send this bundle
    x CommandDenied           422  the command does what no caller may make this bundle do
    x IdempotencyKeyReused    422  the idempotency key was used for another call
    x UpstreamRejected        422  the service refused the request: its 400, 404, 409, 422
  - configure the provider
    x MissingSetup            424  nothing says how to reach the service
    x UpstreamDenied          502  the service refused the credentials, or wants to be paid: its 401, 402, 403
  - wait, then call again
    x IdempotencyInProgress   409  a call with the same idempotency key is under way
    x RateLimited             429  the caller makes more calls than it may
    x BudgetExceeded          429  the caller has spent what it may
    x UpstreamRateLimited     503  the service asks for fewer calls
    x CircuitOpen             503  the service has failed often and is left alone for a while
    x DependencyUnavailable   503  an AWS service that the call needs did not answer
  - call again where the method's effect allows it
    x UpstreamError           502  the service failed: its 5xx
    x UpstreamUnreachable     502  no connection, or it broke
    x UpstreamBadResponse     502  the answer is not what the service documents
    x UpstreamTimeout         504  the service did not answer in time
    x DeadlineExceeded        504  no time was left to ask the service
  - give up, tell the operator
    x ResponseTooLarge        502  the answer is larger than a Lambda function may return
    x InternalError           500  a fault of this bundle
    x Misconfigured           500  the deployment or a stored connection is not set up right

Each class statement is a row of the one table: code, HTTP status, and whether the same call may succeed
later. `retryable=None` means: by the method's effect, a read may be repeated and a write may not unless nothing of it
was sent.

`detail` is for the caller: our own words, never an upstream body, an input value or another exception's text.
"""

import json
import math
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integrations.provider import Method
    from integrations.quotas import Quota


class IntegrationError(Exception):
    """The base of every error that a call can end in.

    `detail` says what to do. `retry_after` is in seconds. `upstream_status` is the HTTP status that the service
    answered, or the code of its reply in another protocol. `errors` lists the fields at fault, each
    `{"loc": [...], "type": str, "message": str}`. `nothing_sent` says that the service has done nothing.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    retryable: ClassVar[bool | None]

    def __init_subclass__(cls, *, code: str, status: int, retryable: bool | None) -> None:
        cls.code, cls.status, cls.retryable = code, status, retryable

    def __init__(
        self,
        detail: str,
        *,
        retry_after: float | None = None,
        upstream_status: int | None = None,
        errors: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.upstream_status = upstream_status
        self.errors = errors
        self.nothing_sent = False
        self.problem: dict[str, Any] | None = None

    def __str__(self) -> str:
        """Give the problem as JSON once it is known (Step Functions shows it as the cause), else the detail."""
        return json.dumps(self.problem) if self.problem else self.detail

    def explain(self, provider: str, method: "Method | None", correlation_id: str) -> None:
        """Set `problem`, the members of an RFC 9457 problem document; absent facts have no member."""
        by_effect = self.nothing_sent or bool(method and method.repeatable)
        facts = {
            "type": f"urn:integrations:error:{self.code}",
            "title": self.title(),
            "status": self.status,
            "detail": self.detail,
            "error": self.detail,
            "code": self.code,
            "retryable": by_effect if self.retryable is None else self.retryable,
            "retry_after": None if self.retry_after is None else math.ceil(self.retry_after),
            "provider": provider,
            "method": method and method.name,
            "correlation_id": correlation_id,
            "upstream_status": self.upstream_status,
            "errors": self.errors,
        }
        self.problem = {name: fact for name, fact in facts.items() if fact is not None}

    @classmethod
    def title(cls) -> str:
        """Give the class name as words: `UpstreamTimeout` reads "Upstream timeout"."""
        words = "".join(f" {char}" if char.isupper() else char for char in cls.__name__)
        return words.strip().capitalize()


class InvalidRequest(IntegrationError, code="invalid_request", status=400, retryable=False):
    """The request is not a call."""


class IdempotencyKeyMissing(IntegrationError, code="idempotency_key_missing", status=400, retryable=False):
    """The method writes, and the call has no key that would keep it from writing twice."""


class Forbidden(IntegrationError, code="forbidden", status=403, retryable=False):
    """The API key's scope does not hold this."""


class UnknownProvider(IntegrationError, code="unknown_provider", status=404, retryable=False):
    """No provider has that name."""


class UnknownMethod(IntegrationError, code="unknown_method", status=404, retryable=False):
    """The provider has no method of that name."""


class UnknownConnection(IntegrationError, code="unknown_connection", status=404, retryable=False):
    """No connection is stored under that name."""


class JobNotFound(IntegrationError, code="job_not_found", status=404, retryable=False):
    """No job has that id."""


class NotFound(IntegrationError, code="not_found", status=404, retryable=False):
    """No route goes there."""


class MethodNotAllowed(IntegrationError, code="method_not_allowed", status=405, retryable=False):
    """The route exists, for another HTTP method."""


class IdempotencyInProgress(IntegrationError, code="idempotency_in_progress", status=409, retryable=True):
    """A call with the same idempotency key is under way."""


class PayloadTooLarge(IntegrationError, code="payload_too_large", status=413, retryable=False):
    """The body is larger than a call may be."""


class InvalidArguments(IntegrationError, code="invalid_arguments", status=422, retryable=False):
    """The arguments do not fit the method."""


class InvalidSetup(IntegrationError, code="invalid_setup", status=422, retryable=False):
    """The setup does not fit the provider."""


class UrlDenied(IntegrationError, code="url_denied", status=422, retryable=False):
    """The URL goes where no caller may send this bundle."""


class CommandDenied(IntegrationError, code="command_denied", status=422, retryable=False):
    """The command does what no caller may make this bundle do."""


class IdempotencyKeyReused(IntegrationError, code="idempotency_key_reused", status=422, retryable=False):
    """The idempotency key was used for another call."""


class UpstreamRejected(IntegrationError, code="upstream_rejected", status=422, retryable=False):
    """The service refused the request and would refuse it again."""


class MissingSetup(IntegrationError, code="missing_setup", status=424, retryable=False):
    """Nothing says how to reach the service."""


class RateLimited(IntegrationError, code="rate_limited", status=429, retryable=True):
    """The caller makes more calls than it may."""


class BudgetExceeded(IntegrationError, code="budget_exceeded", status=429, retryable=True):
    """The caller has spent what it may."""


class InternalError(IntegrationError, code="internal", status=500, retryable=False):
    """A fault of this bundle; the log has the place."""


class Misconfigured(IntegrationError, code="misconfigured", status=500, retryable=False):
    """The deployment or a stored connection is not set up right."""


class UpstreamDenied(IntegrationError, code="upstream_denied", status=502, retryable=False):
    """The service refused the credentials, or the account behind them has run out of credit."""


class ResponseTooLarge(IntegrationError, code="response_too_large", status=502, retryable=False):
    """The answer is larger than what can be taken or returned."""


class UpstreamError(IntegrationError, code="upstream_error", status=502, retryable=None):
    """The service failed."""


class UpstreamUnreachable(IntegrationError, code="upstream_unreachable", status=502, retryable=None):
    """No connection to the service, or it broke."""


class UpstreamBadResponse(IntegrationError, code="upstream_bad_response", status=502, retryable=None):
    """The answer is not what the service documents."""


class UpstreamRateLimited(IntegrationError, code="upstream_rate_limited", status=503, retryable=True):
    """The service asks for fewer calls; `retry_after` says when, if it said so, and `quotas` what it said of them."""

    quotas: "Sequence[Quota]" = ()


class CircuitOpen(IntegrationError, code="circuit_open", status=503, retryable=True):
    """The service has failed often and is left alone for a while."""


class DependencyUnavailable(IntegrationError, code="dependency_unavailable", status=503, retryable=True):
    """An AWS service that the call needs did not answer."""


class UpstreamTimeout(IntegrationError, code="upstream_timeout", status=504, retryable=None):
    """The service did not answer in time."""


class DeadlineExceeded(IntegrationError, code="deadline_exceeded", status=504, retryable=None):
    """No time was left to ask the service."""
