"""Services in a process: started in order, drained and stopped in reverse, by signal or because one of them failed.

`running` is for tests and for those who host services among other things; `run` is the whole of a service's
``__main__``.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import uvloop

from services.chassis.lifecycle import Service, State

log = logging.getLogger(__name__)

#: What `stop` may take when somebody is in a hurry, in seconds.
_HURRIED_STOP: Final = 1.0
_SWITCH_SECONDS: Final = 0.0005
#: Objects made before the search for reference cycles among the youngest, and how often the older ones are searched.
_CYCLE_SEARCH: Final = (10_000, 20, 50)


@asynccontextmanager
async def running(
    services: Sequence[Service],
    *,
    drain_seconds: float = 20.0,
    stop_seconds: float = 10.0,
    at_once: asyncio.Event | None = None,
) -> AsyncIterator[None]:
    """Start services in order; at the end drain and stop them in reverse. Signals are not touched.

    Args:
        services: what to host.
        drain_seconds: how long the work in hand may take to finish, all services together.
        stop_seconds: how long one service may take to stop.
        at_once: when set, work in hand is not waited for.

    Raises:
        ExceptionGroup: what failed in the background, while draining or while stopping, if the body did not raise.
    """
    at_once = at_once or asyncio.Event()
    begun: list[Service] = []
    failures: list[Exception] = []
    async with AsyncExitStack() as backgrounds:
        try:
            for service in services:
                await backgrounds.enter_async_context(service.lifecycle.background())
                begun.append(service)
                await service.start()
                service.lifecycle.move_to(State.READY)
                log.info("%s is ready", service.lifecycle.name)
            yield
        finally:
            failures += await _drain(begun[::-1], drain_seconds, at_once)
            for service in reversed(begun):
                failures += await _stop(service, _HURRIED_STOP if at_once.is_set() else stop_seconds)
    failures += [s.lifecycle.failure for s in services if s.lifecycle.failure is not None]
    if failures:
        raise ExceptionGroup("services failed", failures)


def run(build: Callable[[], Sequence[Service]], *, drain_seconds: float = 20.0, stop_seconds: float = 10.0) -> int:
    """Host services until a signal comes or one of them fails; return the process's exit code.

    The first SIGTERM or SIGINT drains, the second stops at once, a third kills.

    Args:
        build: makes the services, inside the event loop.
        drain_seconds: see `running`.
        stop_seconds: see `running`.

    Returns:
        0 if a signal ended it, 1 if something failed.
    """
    # Threads that wait for the disk want the interpreter for microseconds when they return, and milliseconds of
    # waiting for it would be the longest part of a commit.
    sys.setswitchinterval(_SWITCH_SECONDS)
    # Nodes bound their connections themselves; many of them in one process need more than the usual thousand files.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return uvloop.run(_host(build, drain_seconds, stop_seconds))


async def _host(build: Callable[[], Sequence[Service]], drain_seconds: float, stop_seconds: float) -> int:
    asked, at_once = asyncio.Event(), asyncio.Event()
    services = build()
    serving = asyncio.create_task(_serve(services, asked, at_once, drain_seconds, stop_seconds))
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def on_signal() -> None:
        if not asked.is_set():
            asked.set()
            if any(service.lifecycle.state is State.STARTING for service in services):
                serving.cancel()
        else:
            at_once.set()
            for number in signals:
                loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, on_signal)
    try:
        await serving
    except asyncio.CancelledError:
        return 0  # asked to end before everything had started
    except Exception as error:  # the last one to hear of it says so and ends the process
        log.error("ended by a failure", exc_info=error)  # noqa: TRY400 - no stack of our own is of interest
        return 1
    return 0


async def _serve(
    services: Sequence[Service], asked: asyncio.Event, at_once: asyncio.Event, drain_seconds: float, stop_seconds: float
) -> None:
    async with running(services, drain_seconds=drain_seconds, stop_seconds=stop_seconds, at_once=at_once):
        end = asyncio.Event()

        def look() -> None:
            if any(service.lifecycle.failure is not None for service in services):
                end.set()

        for service in services:
            service.lifecycle.observe(look)
        look()
        # What is there now stays: searching it for cycles again and again costs a busy service a twentieth of its time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_CYCLE_SEARCH)
        await _first_of(asked, end)
        log.info("draining")


async def _first_of(*events: asyncio.Event, timeout: float | None = None) -> None:  # noqa: ASYNC109 - it does not raise
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _drain(services: Sequence[Service], seconds: float, at_once: asyncio.Event) -> list[Exception]:
    failures: list[Exception] = []

    async def one_by_one() -> None:
        for service in services:
            if service.lifecycle.state is State.STARTING:
                continue  # it failed to start and has no work in hand
            service.lifecycle.move_to(State.DRAINING)
            try:
                await service.drain()
            except Exception as error:  # noqa: BLE001 - the others drain nevertheless
                failures.append(error)

    draining = asyncio.create_task(one_by_one())
    done = asyncio.Event()
    draining.add_done_callback(lambda _: done.set())
    try:
        await _first_of(done, at_once, timeout=seconds)
        if not done.is_set():
            log.warning(
                "work in hand is dropped: draining %s", "was cut short" if at_once.is_set() else "took too long"
            )
    finally:
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
    return failures


async def _stop(service: Service, seconds: float) -> list[Exception]:
    try:
        async with asyncio.timeout(seconds):
            await service.stop()
    except Exception as error:  # noqa: BLE001 - the others stop nevertheless
        return [error]
    finally:
        service.lifecycle.move_to(State.STOPPED)
    return []
