from __future__ import annotations

import asyncio

import pytest

from services.chassis.hosting import running
from services.chassis.lifecycle import Lifecycle, State


class Recorder:
    """A service that writes down what is asked of it, and can fail at each of it."""

    def __init__(self, name: str, journal: list[str], fails: str = "") -> None:
        self.lifecycle = Lifecycle(name)
        self.journal = journal
        self.fails = fails
        self.hold = asyncio.Event()
        self.hold.set()

    async def start(self) -> None:
        self._do("start")

    async def drain(self) -> None:
        self._do("drain")
        await self.hold.wait()

    async def stop(self) -> None:
        self._do("stop")

    def _do(self, what: str) -> None:
        self.journal.append(f"{self.lifecycle.name} {what}")
        if what in self.fails:
            raise OSError(f"{what} failed")


async def test_states_of_a_quiet_life_are_observed_in_order() -> None:
    service = Recorder("one", [])
    seen = [service.lifecycle.state]
    service.lifecycle.observe(lambda: seen.append(service.lifecycle.state))
    async with running([service]):
        assert service.lifecycle.ready
    assert seen == [State.STARTING, State.READY, State.DRAINING, State.STOPPED]
    assert not service.lifecycle.ready


async def test_services_start_in_order_and_end_in_reverse() -> None:
    journal: list[str] = []
    async with running([Recorder("a", journal), Recorder("b", journal)]):
        pass
    assert journal == ["a start", "b start", "b drain", "a drain", "b stop", "a stop"]


async def test_a_failed_start_stops_what_had_begun_and_is_raised_itself() -> None:
    journal: list[str] = []
    services = [Recorder("a", journal), Recorder("b", journal, "start"), Recorder("c", journal)]
    with pytest.raises(OSError, match="start failed"):
        async with running(services):
            pytest.fail("never runs")
    assert journal == ["a start", "b start", "a drain", "b stop", "a stop"]
    assert [service.lifecycle.state for service in services] == [State.STOPPED, State.STOPPED, State.STARTING]


@pytest.mark.parametrize("fails", ["drain", "stop"])
async def test_failures_at_the_end_are_raised_after_everybody_has_ended(fails: str) -> None:
    journal: list[str] = []
    with pytest.raises(ExceptionGroup) as caught:
        async with running([Recorder("a", journal), Recorder("b", journal, fails)]):
            pass
    assert [str(error) for error in caught.value.exceptions] == [f"{fails} failed"]
    assert journal[-4:] == ["b drain", "a drain", "b stop", "a stop"]


async def test_draining_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    journal: list[str] = []
    service = Recorder("a", journal)
    service.hold.clear()
    async with running([service], drain_seconds=0.01):
        pass
    assert journal == ["a start", "a drain", "a stop"]
    assert "too long" in caplog.text


async def test_in_a_hurry_draining_is_cut_short(caplog: pytest.LogCaptureFixture) -> None:
    service = Recorder("a", [])
    service.hold.clear()
    at_once = asyncio.Event()
    async with running([service], at_once=at_once):
        at_once.set()
    assert "cut short" in caplog.text


async def test_readiness_can_be_withdrawn_for_several_reasons() -> None:
    service = Recorder("a", [])
    life = service.lifecycle
    async with running([service]):
        life.withdraw("catching up")
        life.withdraw("no directory")
        life.withdraw("no directory")
        assert not life.ready
        assert sorted(life.withdrawn) == ["catching up", "no directory"]
        life.restore("catching up")
        assert not life.ready
        waiting = asyncio.create_task(life.wait_until(lambda life: life.ready))
        await asyncio.sleep(0)
        assert not waiting.done()
        life.restore("no directory")
        await waiting


async def test_background_work_is_cancelled_and_awaited_at_the_end() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("work")

    service = Recorder("a", [])
    async with running([service]):
        task = service.lifecycle.spawn(work(), "work")
        await asyncio.sleep(0)
    assert ended == ["work"]
    assert task.cancelled()


async def test_background_work_lives_through_draining_and_stopping() -> None:
    alive: list[bool] = []

    class Busy(Recorder):
        async def stop(self) -> None:
            alive.append(not task.done())

    service = Busy("a", [])
    async with running([service]):
        task = service.lifecycle.spawn(asyncio.Event().wait(), "work")  # type: ignore[arg-type]  # what it returns is no matter
    assert alive == [True]


async def test_a_failure_in_the_background_fails_the_service_and_is_raised_at_the_end() -> None:
    async def work() -> None:
        raise LookupError("lost it")

    service = Recorder("a", [])
    host = running([service])
    await host.__aenter__()
    service.lifecycle.spawn(work(), "work")
    await service.lifecycle.wait_until(lambda life: life.state is State.FAILED)
    assert not service.lifecycle.ready
    with pytest.raises(ExceptionGroup) as caught:
        await host.__aexit__(None, None, None)
    assert isinstance(caught.value.exceptions[0], LookupError)
    assert service.lifecycle.state is State.FAILED


async def test_background_work_that_ends_well_is_no_failure() -> None:
    service = Recorder("a", [])
    async with running([service]):
        await service.lifecycle.spawn(asyncio.sleep(0), "nap")
        assert service.lifecycle.ready


async def test_nothing_can_be_spawned_outside_the_life_of_a_service() -> None:
    service = Recorder("a", [])
    with pytest.raises(RuntimeError, match="not running"):
        service.lifecycle.spawn(asyncio.sleep(0), "too early")
    async with running([service]):
        pass
    with pytest.raises(RuntimeError, match="not running"):
        service.lifecycle.spawn(asyncio.sleep(0), "too late")


async def test_an_observer_can_be_removed() -> None:
    life = Lifecycle("a")
    seen: list[str] = []
    end = life.observe(lambda: seen.append("changed"))
    life.withdraw("x")
    end()
    life.restore("x")
    assert seen == ["changed"]


async def test_an_error_in_the_body_is_raised_as_it_is_and_services_end() -> None:
    journal: list[str] = []
    with pytest.raises(KeyError):
        async with running([Recorder("a", journal, "stop")]):
            raise KeyError("mine")
    assert journal[-1] == "a stop"
