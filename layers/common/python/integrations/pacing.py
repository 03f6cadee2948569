"""Requests at a distance, for a service that asks for so many seconds between two.

Every request, a repeated one too, takes the next slot, in the order in which they ask, and waits for it inside the
deadline of its call. Where the slot comes too late the call ends in RateLimited, and the slot stays free.

The distance holds among the requests with the same credentials of one process, which is one Lambda environment.
Calls that come at once run in several environments, and none knows of the others. Where the service counts them
together, an operator lets only one run: `aws lambda put-function-concurrency` for that function, or the stack
parameter ReservedConcurrency for all. It is no default, because Lambda then turns away what comes meanwhile, and
because an account must keep 100 executions unreserved, which a new account may not have. A service's own 429 is
waited for as ever.
"""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from integrations.errors import RateLimited
from integrations.http import SHORTEST_ATTEMPT

if TYPE_CHECKING:
    from integrations.provider import Provider

# Seconds on top of every interval: a request that has to connect first reaches the service later than the next one,
# on the connection that is kept, and the service counts from what reaches it.
LEEWAY = 0.2


class _Moment(NamedTuple):
    """One moment on two clocks."""

    wall: float
    monotonic: float

    def after(self, seconds: float) -> "_Moment":
        return _Moment(self.wall + seconds, self.monotonic + seconds)

    def seconds_until(self, later: "_Moment") -> float:
        """Give the time left, by the clock that has gone further.

        The monotonic clock may stand still while Lambda keeps the environment frozen, and the wall clock may be set
        back; what either has counted has passed.
        """
        return max(0.0, min(later.wall - self.wall, later.monotonic - self.monotonic))


class Slots:
    """When the next request with the same credentials may start. The clocks give seconds."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._free_at: dict[bytes, _Moment] = {}

    def take(self, credentials: bytes, interval: float, longest: float) -> float:
        """Give the seconds until the next slot, and take it unless they are more than `longest`."""
        with self._lock:
            now = _Moment(self._wall(), self._monotonic())
            # What is over says nothing any more, so the table holds no more than was asked for just now.
            self._free_at = {key: moment for key, moment in self._free_at.items() if now.seconds_until(moment)}
            wait = now.seconds_until(self._free_at.get(credentials, now))
            if wait <= longest:
                self._free_at[credentials] = now.after(wait + interval + LEEWAY)
            return wait

    def forget(self) -> None:
        """Let every next request start at once."""
        with self._lock:
            self._free_at.clear()


slots = Slots()


def wait_for_slot(provider: "Provider", credentials: bytes, *, deadline: float, ended: threading.Event) -> None:
    """Wait until a request may start, or the call has `ended`.

    `deadline` is on the monotonic clock. Raise RateLimited where the slot comes too late for an attempt.
    """
    longest = deadline - time.monotonic() - SHORTEST_ATTEMPT
    wait = slots.take(credentials, provider.min_interval, longest)
    if wait > longest:
        raise RateLimited(
            f"{provider.title} is asked once in {provider.min_interval:g} seconds, and the next time comes too late "
            "for this call; call again later, or ask for less in one call.",
            retry_after=wait,
        )
    ended.wait(wait)
