"""Garbage collection, out of the way of a cold start.

Importing the libraries and building the models makes some 150,000 objects that live as long as the process. Looking
for garbage among them costs a start 5 %, so it is done rarely until the handler is taken, and then they are put aside.
"""

import gc

_USUAL = gc.get_threshold()
_RARE = 500_000  # objects: more than any provider makes, and few enough for a process that never takes a handler


def rarely() -> None:
    """Collect rarely from now on."""
    gc.set_threshold(_RARE, *_USUAL[1:])


def as_usual() -> None:
    """Collect as usual from now on, and what was built so far never."""
    gc.freeze()
    gc.set_threshold(*_USUAL)
