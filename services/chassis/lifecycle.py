"""The life of a service: starting, ready, draining, stopped; or failed.

A service is an object with a `Lifecycle` and three coroutines; `hosting` runs several in one process. What runs in the
background belongs to the lifecycle; when it fails, the service has failed and its process drains.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol

log = logging.getLogger(__name__)


class State(enum.Enum):
    """Where a service stands."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"
    #: Something in the background failed; it drains and stops as well, but stays failed.
    FAILED = "failed"


class Service(Protocol):
    """What a process hosts."""

    @property
    def lifecycle(self) -> Lifecycle:
        """Its own lifecycle, made with it."""

    async def start(self) -> None:
        """Take what is needed and begin to serve. What fails here fails the process."""

    async def drain(self) -> None:
        """Take no new work and finish the work in hand. It may be cancelled: its time is bounded."""

    async def stop(self) -> None:
        """Give everything back. Also called if `start` failed half-way."""


class Lifecycle:
    """State, readiness and background tasks of one service.

    Args:
        name: a word for logs, health and metrics, such as ``swarm``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.failure: Exception | None = None
        self._state = State.STARTING
        self._withdrawn: set[str] = set()
        self._observers: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None

    @property
    def state(self) -> State:
        """Where the service stands."""
        return self._state

    @property
    def ready(self) -> bool:
        """Whether it should be given work."""
        return self._state is State.READY and not self._withdrawn

    @property
    def withdrawn(self) -> frozenset[str]:
        """Why a running service is not ready; empty if it is."""
        return frozenset(self._withdrawn)

    def withdraw(self, reason: str) -> None:
        """Say that the service should get no work for now, and why: ``catching up``."""
        if reason not in self._withdrawn:
            self._withdrawn.add(reason)
            self._tell()

    def restore(self, reason: str) -> None:
        """Take that reason back."""
        if reason in self._withdrawn:
            self._withdrawn.remove(reason)
            self._tell()

    def observe(self, observer: Callable[[], None]) -> Callable[[], None]:
        """Call `observer` after each change of state or readiness; return what ends that. It must not raise."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    async def wait_until(self, holds: Callable[[Lifecycle], bool]) -> None:
        """Wait until `holds` of this lifecycle."""
        changed = asyncio.Event()
        end = self.observe(changed.set)
        try:
            while not holds(self):
                await changed.wait()
                changed.clear()
        finally:
            end()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` in the background until it ends or the service has stopped; if it raises, the service fails.

        Raises:
            RuntimeError: the service is not running.
        """
        if self._group is None:
            work.close()
            raise RuntimeError(f"{self.name} is not running")
        task = self._group.create_task(self._guard(work, name), name=f"{self.name}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def fail(self, failure: Exception) -> None:
        """Declare the service failed; the first failure counts."""
        if self.failure is None:
            self.failure = failure
            self.move_to(State.FAILED)

    def move_to(self, state: State) -> None:
        """Enter a state; who hosts the service does that. A failed service stays failed."""
        if self._state is state or self._state is State.FAILED:
            return
        self._state = state
        self._tell()

    @asynccontextmanager
    async def background(self) -> AsyncIterator[None]:
        """Own the background tasks: within, they can be spawned; at the end they are cancelled and awaited."""
        failure: Exception | None = None
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                yield
            except Exception as error:  # noqa: BLE001 - the group would wrap it; it is raised below as it is
                failure = error
            finally:
                self._group = None
                for task in self._tasks:
                    task.cancel()
        if failure is not None:
            raise failure

    async def _guard(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except Exception as error:  # whatever it is, the service has lost a part of itself
            log.exception("%s failed: %s", self.name, name)
            self.fail(error)

    def _tell(self) -> None:
        for observer in tuple(self._observers):
            observer()
