"""Running a command's work in an event loop of its own."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run work to its end; Ctrl-C and SIGTERM cancel it, and what it opened is closed.

    Raises:
        KeyboardInterrupt: it was cancelled.
    """

    async def whole() -> T:
        with _cancelled_by_sigterm():
            return await work

    try:
        return asyncio.run(whole())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


@contextmanager
def _cancelled_by_sigterm() -> Iterator[None]:
    if sys.platform == "win32":  # has no such signal
        yield
        return
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
