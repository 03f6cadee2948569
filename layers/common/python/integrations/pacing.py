"""Requests at a distance, for a service that asks for so many seconds between two.

The seconds are the provider's `min_interval`, or what the service's last answer says of a short quota that is used up.
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
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from integrations import quotas
from integrations.errors import RateLimited, UpstreamRateLimited
from integrations.http import SHORTEST_ATTEMPT

if TYPE_CHECKING:
    from integrations.provider import Provider

# Seconds on top of an interval: a request that has to connect first reaches the service later than the next one,
# on the connection that is kept, and the service counts from what reaches it. A short interval is only doubled.
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


class _Next(NamedTuple):
    """When the next request may start, and how many seconds it then takes up."""

    moment: _Moment
    interval: float


class Slots:
    """When the next request with the same credentials may start. The clocks give seconds."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._free_at: dict[bytes, _Next] = {}

    def take(self, credentials: bytes, interval: float, longest: float) -> float:
        """Give the seconds until the next slot, and take it unless they are more than `longest`."""
        with self._lock:
            now = self._now()
            # What is over says nothing any more, so the table holds no more than was asked for just now.
            self._free_at = {key: next_ for key, next_ in self._free_at.items() if now.seconds_until(next_.moment)}
            found = self._free_at.get(credentials, _Next(now, interval))
            wait = now.seconds_until(found.moment)
            interval = max(interval, found.interval)
            if wait <= longest and interval:
                self._free_at[credentials] = _Next(now.after(wait + _with_leeway(interval)), interval)
            return wait

    def learn(self, credentials: bytes, interval: float, since: float) -> None:
        """Keep this interval from now on, counted from a request that started `since` seconds ago; 0 is none.

        The slots that are taken already stay as they are.
        """
        with self._lock:
            now, found = self._now(), self._free_at.get(credentials)
            until = max(0.0, _with_leeway(interval) - since)
            if found:
                until = max(until, now.seconds_until(found.moment))
            if found or interval:
                self._free_at[credentials] = _Next(now.after(until), interval)

    def forget(self) -> None:
        """Let every next request start at once."""
        with self._lock:
            self._free_at.clear()

    def _now(self) -> _Moment:
        return _Moment(self._wall(), self._monotonic())


def _with_leeway(interval: float) -> float:
    return interval + min(LEEWAY, interval)


slots = Slots()


def keep(credentials: bytes, headers: Mapping[str, str], started: float) -> None:
    """Keep to what an answer says of the quotas; its request `started` then, on the monotonic clock."""
    _learn(credentials, quotas.read(headers), started)


def heed(credentials: bytes, limited: UpstreamRateLimited, started: float) -> None:
    """Keep to what a refusal says of the quotas, and say in it when to come again."""
    _learn(credentials, limited.quotas, started)
    if limited.retry_after is None:
        limited.retry_after = quotas.wait(limited.quotas)


def _learn(credentials: bytes, said: Sequence[quotas.Quota], started: float) -> None:
    if said:
        slots.learn(credentials, quotas.interval(said), time.monotonic() - started)


def wait_for_slot(provider: "Provider", credentials: bytes, *, deadline: float, ended: threading.Event) -> None:
    """Wait until a request may start, or the call has `ended`.

    `deadline` is on the monotonic clock. Raise RateLimited where the slot comes too late for an attempt.
    """
    longest = deadline - time.monotonic() - SHORTEST_ATTEMPT
    wait = slots.take(credentials, provider.min_interval, longest)
    if wait > longest:
        pace = f"once in {provider.min_interval:g} seconds" if provider.min_interval else "at the pace of its quota"
        raise RateLimited(
            f"{provider.title} is asked {pace}, and the next time comes too late for this call; "
            "call again later, or ask for less in one call.",
            retry_after=wait,
        )
    ended.wait(wait)
