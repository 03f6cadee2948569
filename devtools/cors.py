"""What an HTTP API adds for web pages of other origins.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from devtools.template import CorsConfiguration

PREFIX = "access-control-"


@dataclass(frozen=True, slots=True)
class Cors:
    """The configuration with the origins that it is for; one may hold `*`, as `https://*` does."""

    origins: Sequence[str]
    configuration: CorsConfiguration

    def answered(
        self,
        headers: list[tuple[str, str]],
        preflight: bool,  # noqa: FBT001  # a fact of the request, and not a mode
        origin: str | None,
    ) -> list[tuple[str, str]]:
        """Give the headers of a response: where CORS is configured, those that a function wrote for it are dropped."""
        kept = [pair for pair in headers if not pair[0].lower().startswith(PREFIX)]
        if origin is None or not any(fnmatchcase(origin, allowed) for allowed in self.origins):
            return kept
        return kept + self._added(origin, preflight=preflight)

    def _added(self, origin: str, *, preflight: bool) -> list[tuple[str, str]]:
        configured = self.configuration
        added = {"allow-origin": "*" if "*" in self.origins and not configured.credentials else origin}
        if configured.credentials:
            added["allow-credentials"] = "true"
        if preflight:
            added["allow-methods"] = ",".join(configured.methods)
            added["allow-headers"] = ",".join(configured.headers)
            added["max-age"] = str(configured.max_age)
        elif configured.exposed:
            added["expose-headers"] = ",".join(configured.exposed)
        return [(PREFIX + name, value) for name, value in added.items()]
