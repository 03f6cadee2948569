"""What happens to a test whose peer is not installed."""

import os
from typing import NoReturn

import pytest


def peer_is_missing(reason: str) -> NoReturn:
    """Skip the test for this reason, or fail it where all peers are required.

    `REQUIRE_PEERS=1` is set where the peers have been installed on purpose: a skip there would
    hide that one of them is gone.
    """
    if os.environ.get("REQUIRE_PEERS") == "1":
        pytest.fail(f"REQUIRE_PEERS=1, but {reason}", pytrace=False)
    pytest.skip(reason)
