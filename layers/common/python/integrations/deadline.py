"""The moment by which a call must be answered."""

import time
from dataclasses import dataclass
from typing import Any

# What stays for the reply and the log line after the last byte from the service, in seconds.
RESERVE = 1.5
# API Gateway gives up at 30 s whatever the function's own timeout is; a caller without a clock gets the same.
LONGEST = 27.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, in seconds."""

    at: float

    @classmethod
    def of(cls, context: Any) -> "Deadline":
        """Take the Lambda's remaining time, less the reserve."""
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        seconds = remaining() / 1000 - RESERVE if remaining else LONGEST
        return cls.after(min(seconds, LONGEST))

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Give the deadline that is `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def left(self) -> float:
        """Give the seconds that are left; negative when it has passed."""
        return self.at - time.monotonic()
