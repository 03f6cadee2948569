"""The layer's package: what a provider declares, and everything between a Lambda event and the service.

from integrations import Arguments, Http, Output, Provider, Reply, Setup
"""

import gc

# Importing builds some 100,000 objects that live as long as the process: looking for garbage among them costs a cold
# start 5 %. They are put aside before collecting goes on, or its next run would walk them all.
_collecting = gc.isenabled()
gc.disable()

from integrations.errors import IntegrationError  # noqa: E402
from integrations.http import Http, Reply  # noqa: E402
from integrations.provider import Arguments, Output, Provider, Setup  # noqa: E402

if _collecting:
    gc.freeze()
    gc.enable()

__all__ = ["Arguments", "Http", "IntegrationError", "Output", "Provider", "Reply", "Setup"]
