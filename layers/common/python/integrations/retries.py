"""Sending a request again: at most three attempts, full jitter, and never past the deadline.

`Retry-After` is waited for where it fits into the deadline and passed on where it does not.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, sleep_using_event
from tenacity.wait import wait_random_exponential

from integrations.errors import IntegrationError, RateLimited, UpstreamRateLimited
from integrations.http import SHORTEST_ATTEMPT

MAX_ATTEMPTS = 3

_jitter = wait_random_exponential(multiplier=0.5, max=8)  # full jitter: U(0, min(8 s, 0.5 s * 2^n))
_T = TypeVar("_T")


def repeat(
    attempt: Callable[[], _T],
    failed: IntegrationError,
    *,
    may_repeat: Callable[[BaseException], bool],
    hosts: int,
    deadline: float,
    ended: threading.Event,
) -> _T:
    """Go on after an attempt that failed: that was the first of three.

    Each attempt goes to the next of `hosts` hosts; `deadline` is on the monotonic clock, and no wait outlasts a call
    that has `ended`. Raise the last error, or the first where a paced provider's next turn comes too late.
    """
    first = [failed]

    def attempt_after_the_first() -> _T:
        if first:
            raise first.pop()
        return attempt()

    def stop(state: RetryCallState) -> bool:
        fits = time.monotonic() + state.upcoming_sleep + SHORTEST_ATTEMPT <= deadline
        return state.attempt_number >= MAX_ATTEMPTS or not fits

    def wait(state: RetryCallState) -> float:
        """Wait as the service asked, else with jitter; not at all for a host that has not been tried yet."""
        error = state.outcome.exception() if state.outcome else None
        if state.attempt_number < hosts and not isinstance(error, UpstreamRateLimited):
            return 0.0
        asked = error.retry_after if isinstance(error, IntegrationError) else None
        return _jitter(state) if asked is None else asked

    retrying = Retrying(
        stop=stop,
        wait=wait,
        retry=retry_if_exception(may_repeat),
        sleep=sleep_using_event(ended),
        reraise=True,
    )
    try:
        return retrying(attempt_after_the_first)
    except RateLimited:
        # The next turn of a paced provider came too late: what failed before is what the caller should know.
        raise failed from None
