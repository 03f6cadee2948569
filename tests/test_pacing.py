"""Requests at a distance: as the service sees them, and by clocks that do what clocks do."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from integrations.errors import RateLimited, UpstreamBadResponse, UpstreamRejected
from integrations.pacing import LEEWAY, Slots
from tests.support import upstream as script
from tests.support.calls import RESERVE, call, post
from tests.support.sample import SETUP, paced, provider
from tests.support.upstream import Upstream, json

OK = json({"value": "tea"})
INTERVAL = paced.min_interval


@pytest.fixture(autouse=True)
def base_url(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_BASE_URL", f"{upstream.url}/v1")


def read(seconds: float = 30.0, setup: dict[str, str] = SETUP, **arguments: Any) -> Any:
    return call(paced, method="read", setup=setup, arguments=arguments, seconds=seconds)["value"]


def distances(upstream: Upstream) -> list[float]:
    return [later.at - earlier.at for earlier, later in pairwise(upstream.requests)]


# As the service sees them.


def test_requests_of_several_calls_keep_their_distance(upstream: Upstream) -> None:
    upstream.replies(OK, OK, OK)
    for _ in range(3):
        read()
    assert len(distances(upstream)) == 2
    assert all(INTERVAL <= distance < INTERVAL + LEEWAY + 0.5 for distance in distances(upstream))


def test_requests_of_one_call_keep_their_distance_although_they_are_parallel(upstream: Upstream) -> None:
    upstream.route(lambda request: json({"value": request.path}))
    assert read(places=["a", "b", "c"]) == ["/v1/a", "/v1/b", "/v1/c"]
    assert len(distances(upstream)) == 2
    assert min(distances(upstream)) >= INTERVAL


def test_a_repeated_request_keeps_its_distance(upstream: Upstream) -> None:
    upstream.replies(json({}, status=503), OK)
    assert read() == "tea"
    assert min(distances(upstream)) >= INTERVAL


def test_a_failure_is_not_hidden_by_a_turn_that_comes_too_late(upstream: Upstream) -> None:
    upstream.replies(script.text("no JSON"))
    with pytest.raises(UpstreamBadResponse):
        read(seconds=RESERVE + 0.9)


def test_other_credentials_have_a_pace_of_their_own(upstream: Upstream) -> None:
    upstream.replies(OK, OK)
    for key in ("key-of-tenant-1", "key-of-tenant-2"):
        read(setup={"api_key": key})
    assert max(distances(upstream)) < INTERVAL


def test_a_provider_without_a_pace_does_not_wait(upstream: Upstream) -> None:
    upstream.replies(OK, OK)
    for _ in range(2):
        call(provider, method="read", setup=SETUP, arguments={})
    assert max(distances(upstream)) < INTERVAL


def test_a_slot_that_comes_too_late_is_told_at_once_and_stays_free(upstream: Upstream) -> None:
    upstream.replies(OK, OK)
    read()
    for _ in range(5):
        with pytest.raises(RateLimited) as raised:
            read(seconds=RESERVE + 0.6)
    assert raised.value.problem is not None
    assert (raised.value.problem["status"], raised.value.problem["retryable"]) == (429, True)
    assert raised.value.problem["retry_after"] == 1
    assert raised.value.detail == (
        "Sample is asked once in 0.3 seconds, and the next time comes too late for this call; "
        "call again later, or ask for less in one call."
    )
    assert len(upstream.requests) == 1
    refused = post(paced, {"setup": SETUP}, method="read", seconds=RESERVE + 0.6)
    assert (refused.status, refused.headers["x-attempts"]) == (429, "0")
    read()
    assert max(distances(upstream)) < INTERVAL + LEEWAY + 0.5


def test_a_call_that_is_answered_waits_no_longer_and_sends_nothing(upstream: Upstream) -> None:
    upstream.replies(json({}, status=400))
    started = time.monotonic()
    with pytest.raises(UpstreamRejected):
        read(places=["bad", "b", "c"])
    assert time.monotonic() - started < INTERVAL + LEEWAY
    time.sleep(2 * (INTERVAL + LEEWAY))
    assert len(upstream.requests) == 1


def test_few_load_it() -> None:
    """What a cold start does not need is not loaded."""
    code = "import sys, functions.arxiv.provider; assert 'integrations.pacing' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=True)


# By the clocks.


class Clocks:
    """Two clocks, which a test moves."""

    def __init__(self) -> None:
        self.wall = 1_000_000.0
        self.monotonic = 50.0
        self.slots = Slots(lambda: self.wall, lambda: self.monotonic)

    def take(self, credentials: bytes = b"key", longest: float = 100.0) -> float:
        return self.slots.take(credentials, 3.0 - LEEWAY, longest)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def test_slots_are_given_in_order(clocks: Clocks) -> None:
    assert [clocks.take() for _ in range(4)] == pytest.approx([0, 3, 6, 9])


def test_each_of_many_threads_has_a_slot_of_its_own(clocks: Clocks) -> None:
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: clocks.take(longest=1e6), range(400)))
    assert sorted(waits) == pytest.approx([3.0 * number for number in range(400)])


def test_a_slot_that_is_too_late_is_not_taken(clocks: Clocks) -> None:
    assert [clocks.take(longest=4) for _ in range(5)] == pytest.approx([0, 3, 6, 6, 6])


@pytest.mark.parametrize(
    ("wall", "monotonic", "wait"),
    [
        (1, 1, 2),
        (5, 5, 0),
        (3600, 0, 0),  # frozen for an hour, with the monotonic clock standing still
        (-3600, 1, 2),  # set back by an hour
        (-3600, 5, 0),
        (-3600, -1, 4),  # no clock does that, and it would end
    ],
)
def test_the_wait_is_what_no_clock_has_counted(clocks: Clocks, wall: float, monotonic: float, wait: float) -> None:
    clocks.take()
    clocks.wall += wall
    clocks.monotonic += monotonic
    assert clocks.take() == pytest.approx(wait)


def test_the_table_holds_no_more_than_was_asked_for_just_now(clocks: Clocks) -> None:
    for number in range(1000):
        clocks.wall += 1
        clocks.monotonic += 1
        clocks.take(str(number).encode())
    assert len(clocks.slots._free_at) <= 3


def test_what_is_forgotten_starts_at_once(clocks: Clocks) -> None:
    clocks.take()
    clocks.slots.forget()
    assert clocks.take() == 0


def test_a_slow_answer_counts_from_its_start(upstream: Upstream) -> None:
    upstream.replies(script.slow(INTERVAL + LEEWAY, OK), OK)
    read()
    started = time.monotonic()
    read()
    assert time.monotonic() - started < INTERVAL
