"""What a service says of its quotas, and the pace that is kept to them; and what a refusal says in its body."""

import copy
import time
from itertools import pairwise
from typing import Any

import pytest

from integrations import Http, IntegrationError, Provider, Reply, quotas
from integrations.errors import UpstreamDenied, UpstreamRateLimited, UpstreamRejected
from integrations.pacing import LEEWAY, Slots
from integrations.quotas import Quota
from tests.support import upstream as script
from tests.support.calls import RESERVE, call
from tests.support.sample import SETUP, AnyOutput, ReadArguments, provider
from tests.support.upstream import Upstream, json

OK = json({"value": "tea"})

paced = copy.copy(provider)
paced.paced_by_quotas = True


@pytest.fixture(autouse=True)
def base_url(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", f"{upstream.url}/v1")


def read(by: Provider = paced, seconds: float = 30.0) -> Any:
    return call(by, method="read", setup=SETUP, arguments={}, seconds=seconds)["value"]


# What is read.


def headers(
    limit: str = "", remaining: str = "", reset: str = "", policy: str = "", prefix: str = "X-RateLimit-"
) -> dict[str, str]:
    given = {"Limit": limit, "Remaining": remaining, "Reset": reset, "Policy": policy}
    return {(prefix + name).lower(): value for name, value in given.items() if value}


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (
            headers("1, 15000", "0, 14523", "1, 1419704", "1;w=1, 15000;w=2592000"),
            [Quota(1, 0, 1, 1), Quota(15000, 14523, 2592000, 1419704)],
        ),
        (headers("100", "7", "42", prefix="RateLimit-"), [Quota(100, 7, None, 42)]),
        (headers("100", "7"), [Quota(100, 7, None, None)]),
        (headers("100,50", "7 , 8", "42"), [Quota(100, 7, None, None), Quota(50, 8, None, None)]),
        (headers("100", "0", "1763726400"), [Quota(100, 0, None, None)]),  # a moment, not seconds
        (headers("100, 50", "7"), []),
        (headers("100"), []),
        (headers(remaining="7"), []),
        (headers("many", "7"), []),
        (headers("100", "-1"), []),
        (headers("100", "٣"), []),
        (headers("9" * 13, "7"), []),
        (headers(), []),
    ],
)
def test_spellings_of_quotas(said: dict[str, str], read: list[Quota]) -> None:
    assert quotas.read(said) == read


@pytest.mark.parametrize(
    ("given", "wait", "interval"),
    [
        ([Quota(1, 0, 1, 1), Quota(15000, 3, 2592000, 1419704)], 1.0, 1.0),
        ([Quota(1, 0, 1, 1), Quota(15000, 0, 2592000, 1419704)], 1419704.0, 1.0),
        ([Quota(50, 0, 1, 1)], 1.0, 0.02),
        ([Quota(50, 1, 1, 1)], None, 0.0),
        ([Quota(1, 0, 1, 1), Quota(0, 0, 2592000, 1419704)], 1.0, 1.0),  # no limit a month
        ([Quota(100, 0, 3600, 60)], 60.0, 0.0),  # too long a window to go slowly for
        ([Quota(100, 0, None, None)], None, 0.0),
        ([], None, 0.0),
    ],
)
def test_how_long_to_wait_and_which_pace_to_keep(given: list[Quota], wait: float | None, interval: float) -> None:
    assert (quotas.wait(given), quotas.interval(given)) == (wait, interval)


# The pace.


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_pace_that_is_learned_holds_for_all_that_wait() -> None:
    clock = Clock()
    slots = Slots(clock, clock)
    assert slots.take(b"a", 0.0, 60) == 0
    slots.learn(b"a", 1.0, since=0.5)
    assert [slots.take(b"a", 0.0, 60) for _ in range(3)] == pytest.approx([0.7, 1.9, 3.1])
    assert slots.take(b"b", 0.0, 60) == 0
    clock.now += 10
    assert [slots.take(b"a", 0.0, 60) for _ in range(3)] == [0, 0, 0], "until an answer says it again"


def test_a_pace_that_is_learned_puts_nobody_forward() -> None:
    clock = Clock()
    slots = Slots(clock, clock)
    slots.learn(b"a", 10.0, since=0.0)
    slots.learn(b"a", 1.0, since=0.0)
    assert slots.take(b"a", 0.0, 60) == pytest.approx(10.0 + LEEWAY)
    assert slots.take(b"a", 0.0, 60) == pytest.approx(10.0 + LEEWAY + 1.2)


def test_a_fast_pace_is_slowed_by_no_more_than_itself() -> None:
    clock = Clock()
    slots = Slots(clock, clock)
    slots.learn(b"a", 0.02, since=0.0)
    assert slots.take(b"a", 0.0, 60) == pytest.approx(0.04)


SLOW = {"x-ratelimit-limit": "2", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1", "x-ratelimit-policy": "2;w=1"}


def test_the_next_request_waits_for_a_quota_that_is_used_up(upstream: Upstream) -> None:
    left = json({"value": "tea"}, headers={**SLOW, "x-ratelimit-remaining": "1"})
    upstream.replies(json({"value": "tea"}, headers=SLOW), left, OK, OK)
    assert [read() for _ in range(4)] == ["tea"] * 4
    waits = [later.at - earlier.at for earlier, later in pairwise(upstream.requests)]
    assert 0.5 <= waits[0] < 1.0
    assert 0.5 <= waits[1] < 1.0, "the slot after a wait was taken before there was an answer"
    assert waits[2] < 0.4


def test_a_refusal_is_waited_out_by_what_it_says_of_the_quota(upstream: Upstream) -> None:
    upstream.replies(json({}, status=429, headers=SLOW), OK)
    assert read() == "tea"
    first, second = (request.at for request in upstream.requests)
    assert 1.0 <= second - first < 2.0


def test_retry_after_goes_before_the_quota(upstream: Upstream) -> None:
    upstream.replies(json({}, status=429, headers={**SLOW, "retry-after": "7"}))
    with pytest.raises(UpstreamRateLimited) as raised:
        read(seconds=RESERVE + 3)
    assert raised.value.retry_after == 7


def test_a_provider_that_is_not_declared_so_keeps_to_no_quota(upstream: Upstream) -> None:
    """Others count in milliseconds, or by other clocks."""
    upstream.replies(
        json({"value": "tea"}, headers=SLOW), json({}, status=429, headers={**SLOW, "x-ratelimit-reset": "90"}), OK
    )
    started = time.monotonic()
    assert [read(provider) for _ in range(2)] == ["tea"] * 2
    assert time.monotonic() - started < 1.0


# What a refusal says.


class Refusal(Reply):
    why: str

    def failure(self) -> IntegrationError | None:
        return UpstreamDenied("The key is wrong.") if self.why == "key" else None


class TalkativeReply(Reply):
    refusal = Refusal

    value: str = ""


talkative = copy.copy(provider)
talkative.methods = {}
talkative.default_method = ""


@talkative.method(read_only=True)
def ask(args: ReadArguments, http: Http) -> AnyOutput:
    """Ask something."""
    return AnyOutput(value=http.get("/items", reply=TalkativeReply).value)


def refused(upstream: Upstream, *answers: script.Reply, seconds: float = RESERVE + 1) -> IntegrationError:
    upstream.replies(*answers)
    with pytest.raises(IntegrationError) as raised:
        call(talkative, method="ask", setup=SETUP, arguments={}, seconds=seconds)
    return raised.value


@pytest.mark.parametrize("status", [400, 404, 422])
def test_the_body_of_a_refusal_decides(upstream: Upstream, status: int) -> None:
    error = refused(upstream, json({"why": "key"}, status=status))
    assert isinstance(error, UpstreamDenied)
    assert (error.detail, error.upstream_status) == ("The key is wrong.", status)


@pytest.mark.parametrize(
    "answer",
    [
        json({"why": "arguments"}, status=422),
        json({"other": "key"}, status=422),
        script.html(status=422),
        script.empty(422),
        script.half_json({"why": "key"}, 422),
        json({"why": "key", "more": "x" * 70_000}, status=422),
        script.coded(json({"why": "key"}, status=422), "br"),
        script.short_body(json({"why": "key"}, status=422)),
        script.reset_mid_body(json({"why": "key"}, status=422)),
    ],
)
def test_a_body_that_says_nothing_of_use_leaves_the_status(upstream: Upstream, answer: script.Reply) -> None:
    assert isinstance(refused(upstream, answer), UpstreamRejected)


def test_a_refusal_for_the_pace_is_decided_by_its_status(upstream: Upstream) -> None:
    assert isinstance(
        refused(upstream, json({"why": "key"}, status=429, headers={"retry-after": "60"})), UpstreamRateLimited
    )


def test_a_failure_of_the_service_is_decided_by_its_status(upstream: Upstream) -> None:
    assert refused(upstream, *[json({"why": "key"}, status=500)] * 3, seconds=30).code == "upstream_error"


def test_after_a_refusal_the_connection_is_used_again(upstream: Upstream) -> None:
    refused(upstream, json({"why": "key"}, status=422))
    upstream.replies(OK)
    call(talkative, method="ask", setup=SETUP, arguments={})
    assert {request.connection for request in upstream.requests} == {1}
