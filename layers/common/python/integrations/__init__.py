"""The layer's package: what a provider declares, and everything between a Lambda event and the service.

from integrations import Arguments, Http, Output, Provider, Reply, Setup
"""

from integrations import collecting

collecting.rarely()

from integrations.errors import IntegrationError  # noqa: E402  # after collecting.rarely()
from integrations.http import Http  # noqa: E402  # after collecting.rarely()
from integrations.provider import Arguments, Output, Provider, Setup  # noqa: E402  # after collecting.rarely()
from integrations.replies import Reply  # noqa: E402  # after collecting.rarely()

__all__ = ["Arguments", "Http", "IntegrationError", "Output", "Provider", "Reply", "Setup"]
