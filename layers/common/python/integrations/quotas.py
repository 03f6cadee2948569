"""What a service says of its quotas in the headers of an answer.

The headers are `RateLimit-Limit`, `-Remaining`, `-Reset` and `-Policy`, or the same with an `X-` in front: lists with
one item a quota, as in versions 00 to 06 of draft-ietf-httpapi-ratelimit-headers. A service that allows one request a
second and 15000 a month says

    X-RateLimit-Policy: 1;w=1, 15000;w=2592000
    X-RateLimit-Limit: 1, 15000
    X-RateLimit-Remaining: 0, 14523
    X-RateLimit-Reset: 1, 1419704
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

# Seconds. A reset further away than ten years is a moment on a clock, and no such header says which clock.
LONGEST = 10 * 366 * 86_400
SHORT = 60  # seconds of a window that is worth keeping a pace for; a longer one that is used up is an error

_ITEM = re.compile(r"([0-9]{1,12})(?:;w=([0-9]{1,9}))?", re.ASCII)


class Quota(NamedTuple):
    """One quota: so many requests a window, so many of them left, and the seconds until there are all of them again.

    What the service does not say is None. A limit of 0 is how a service says that there is none.
    """

    limit: int
    remaining: int
    window: int | None
    reset: int | None

    @property
    def used_up(self) -> bool:
        """Say whether nothing of it is left."""
        return self.limit > 0 and self.remaining == 0


def read(headers: Mapping[str, str]) -> list[Quota]:
    """Read the quotas, none where the lists are not there or do not fit each other."""
    for prefix in ("x-ratelimit-", "ratelimit-"):
        limits, remaining, resets, policies = (
            _items(headers.get(prefix + name, "")) for name in ("limit", "remaining", "reset", "policy")
        )
        if limits and len(limits) == len(remaining):
            several = len(limits)
            windows = [window for _, window in policies] if len(policies) == several else [None] * several
            seconds = [reset for reset, _ in resets] if len(resets) == several else [None] * several
            return [
                Quota(limit, left, window, reset if reset is None or reset <= LONGEST else None)
                for (limit, _), (left, _), window, reset in zip(limits, remaining, windows, seconds, strict=True)
            ]
    return []


def wait(quotas: Iterable[Quota]) -> float | None:
    """Give the seconds until there is something left of each quota, None where the service does not say."""
    resets = [quota.reset for quota in quotas if quota.used_up and quota.reset is not None]
    return float(max(resets)) if resets else None


def interval(quotas: Iterable[Quota]) -> float:
    """Give the seconds between two requests that keep to the short quotas that are used up, 0 where none is."""
    paces = [quota.window / quota.limit for quota in quotas if quota.used_up and quota.window and quota.window <= SHORT]
    return max(paces, default=0.0)


def _items(value: str) -> list[tuple[int, int | None]]:
    """Read a list, each item a number with perhaps a window; none where anything else is in it."""
    items = [_ITEM.fullmatch(item.strip()) for item in value.split(",")]
    return [(int(item[1]), int(item[2]) if item[2] else None) for item in items if item] if all(items) else []
