"""Working through very many objects at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: Fewer objects are not worth it.
_MANY: Final = 256


@contextmanager
def bulk_work(count: int) -> Iterator[None]:
    """Leave out the search for reference cycles within, if there is much to do: a replay's events have none.

    Every few hundred new objects the interpreter looks through all young ones, and now and then through all there are:
    a tenth of a replay's time. Several threads may do so at the same time; whoever found the search running has it run
    again.
    """
    pausing = count >= _MANY and gc.isenabled()
    if pausing:
        gc.disable()
    try:
        yield
    finally:
        if pausing:
            gc.enable()
