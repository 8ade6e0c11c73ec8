"""Working through very many objects at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

#: Fewer objects are not worth it.
_MANY: Final = 256
_AS_EVER: Final = nullcontext()


def bulk_work(count: int) -> AbstractContextManager[None]:
    """Leave out the search for reference cycles within, if there is much to do: a replay's events have none.

    Every few hundred new objects the interpreter looks through all young ones, and now and then through all there are:
    a tenth of a replay's time. Several threads may do so at the same time; whoever found the search running has it run
    again.
    """
    return _paused_search() if count >= _MANY and gc.isenabled() else _AS_EVER


@contextmanager
def _paused_search() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
