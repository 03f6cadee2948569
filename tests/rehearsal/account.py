"""An AWS account on loopback: moto, in a process of its own, as `python -m tests.rehearsal.account PORT`.

One thing is mended: moto forgets the outputs of a stack that a change set creates, which is how `sam deploy` does it.
"""

import sys
import warnings
from collections.abc import Iterable
from typing import Any

from moto.backends import get_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


def main(port: int) -> None:
    """Serve until the process is ended."""
    warnings.simplefilter("ignore")  # of what it skips; the rehearsal asserts what that is
    moto = DomainDispatcherApplication(create_backend_app)

    def application(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        answer: Any = moto(environ, start)
        if "/cloudformation/" in environ.get("HTTP_AUTHORIZATION", ""):
            _give_outputs()
        return list(answer)

    # Not threaded: moto's models are plain dictionaries, in which two requests at once can lose a write.
    make_server("127.0.0.1", port, application).serve_forever()


def _give_outputs() -> None:
    for regions in get_backend("cloudformation").values():
        for backend in regions.values():
            for stack in backend.stacks.values():
                if stack.status.endswith("_COMPLETE") and not stack.outputs:
                    stack._parse_template()
                    stack.output_map = stack._create_output_map()


if __name__ == "__main__":
    main(int(sys.argv[1]))
