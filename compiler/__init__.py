"""The compiler: tracing, targets, caches, the command line.

Imported with any of it, and so the home of what every first import needs.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collections_paused() -> Iterator[None]:
    """Run the body without the garbage collector: for imports and loading, which make thousands of
    objects, and nearly all of them to stay.

    What is new then counts as old. The collector would look at all of it once or twice to find
    just that, which takes half a millisecond.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if not gc.get_freeze_count():  # else the user's frozen objects would come back
                gc.freeze()
                gc.unfreeze()
            gc.enable()
