"""A service as a process of its own: what signals do to it, and what its exit code says."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

#: A service that says what happens to it; how it behaves is its argument.
PROGRAM = """
import asyncio, sys
from services.chassis.hosting import run
from services.chassis.lifecycle import Lifecycle

HOW = sys.argv[1]

def say(what):
    print(what, flush=True)

class Talker:
    def __init__(self, name):
        self.name = name
        self.lifecycle = Lifecycle(name)
    async def start(self):
        if HOW == "cannot start" and self.name == "second":
            raise OSError("no room")
        say(f"{self.name} starts")
        if HOW == "hangs in start" and self.name == "second":
            await asyncio.Event().wait()
        if HOW == "fails later" and self.name == "first":
            self.lifecycle.spawn(self.fail(), "something")
        if self.name == "second":
            say("up")
    async def fail(self):
        await asyncio.sleep(0.05)
        raise LookupError("lost it")
    async def drain(self):
        say(f"{self.name} drains")
        if HOW == "hangs in drain":
            await asyncio.Event().wait()
    async def stop(self):
        say(f"{self.name} stops")
        if HOW == "hangs in stop":
            await asyncio.Event().wait()

sys.exit(run(lambda: [Talker("first"), Talker("second")], drain_seconds=30, stop_seconds=0.1))
"""

Starter = Callable[[str], Awaitable[Process]]


@pytest.fixture
async def start() -> AsyncIterator[Starter]:
    processes: list[Process] = []

    async def make(how: str) -> Process:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, how, stdout=PIPE, stderr=PIPE)
        processes.append(process)
        return process

    yield make
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(process: Process, line: str) -> list[str]:
    assert process.stdout is not None
    said: list[str] = []
    while not said or said[-1] != line:
        read = (await process.stdout.readline()).decode().strip()
        assert read, f"ended before it said {line}: {said}"
        said.append(read)
    return said


async def rest(process: Process) -> list[str]:
    async with asyncio.timeout(20):
        out, _ = await process.communicate()
    return out.decode().split("\n")[:-1]


STARTED = ["first starts", "second starts", "up"]
ENDED = ["second drains", "first drains", "second stops", "first stops"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_stops_in_reverse_order(start: Starter, number: signal.Signals) -> None:
    process = await start("well")
    assert await until(process, "up") == STARTED
    process.send_signal(number)
    assert await rest(process) == ENDED
    assert process.returncode == 0


async def test_a_second_signal_does_not_wait_for_work_in_hand(start: Starter) -> None:
    process = await start("hangs in drain")
    await until(process, "up")
    process.send_signal(signal.SIGTERM)
    await until(process, "second drains")
    process.send_signal(signal.SIGTERM)
    assert await rest(process) == ["second stops", "first stops"]
    assert process.returncode == 0


async def test_a_third_signal_kills(start: Starter) -> None:
    process = await start("hangs in drain")
    await until(process, "up")
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
    await rest(process)
    assert process.returncode in {0, -signal.SIGTERM}


async def test_a_service_that_hangs_in_stop_does_not_hold_up_the_others(start: Starter) -> None:
    process = await start("hangs in stop")
    await until(process, "up")
    process.send_signal(signal.SIGTERM)
    assert await rest(process) == ENDED
    assert process.returncode == 1


async def test_a_signal_while_starting_stops_what_has_begun(start: Starter) -> None:
    process = await start("hangs in start")
    await until(process, "second starts")
    process.send_signal(signal.SIGTERM)
    assert await rest(process) == ["first drains", "second stops", "first stops"]
    assert process.returncode == 0


async def test_a_service_that_cannot_start_ends_the_process_with_a_failure(start: Starter) -> None:
    process = await start("cannot start")
    assert await rest(process) == ["first starts", "first drains", "second stops", "first stops"]
    assert process.returncode == 1


async def test_a_failure_in_the_background_drains_the_process_and_shows_in_its_exit_code(start: Starter) -> None:
    process = await start("fails later")
    assert await rest(process) == [*STARTED, *ENDED]
    assert process.returncode == 1
