"""An operator that does nothing, or hears nothing, ends; what it measures is shown, and so is that it has failed."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from operators.membership.kube import instruments as table
from operators.membership.kube.reconciler import Turn
from operators.membership.kube.service import OperatorService
from operators.membership.kube.settings import LogSettings, OperatorSettings
from services.chassis.clock import ManualClock
from services.chassis.hosting import running
from services.chassis.settings import Address
from services.chassis.telemetry import Kind

DEAF_S = 900
EVERY_S = 15


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def service(clock: ManualClock, tmp_path: Path) -> OperatorService:
    """Return an operator whose API server nobody answers for."""
    settings = OperatorSettings(
        install="talk",
        namespace="quiet",
        pod="operator-0",
        image="naisho:1",
        nats=LogSettings(("tls://localhost:1",)),
        pool_file=tmp_path / "none.json",
        telemetry=Address("127.0.0.1", 0),
        kubernetes="http://127.0.0.1:9",
    )
    return OperatorService(settings, clock)


@pytest.fixture
async def watchdog(service: OperatorService, clock: ManualClock) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(service._watchdog())
    await clock.wait_for_sleepers()
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_who_works_and_hears_goes_on(
    service: OperatorService, clock: ManualClock, watchdog: asyncio.Task[None]
) -> None:
    for _ in range(10):
        await clock.advance(DEAF_S / 2)
        service._on_word()
        service._pulse.last_turn_at = clock.monotonic()
    assert not watchdog.done()


async def test_who_hears_nothing_ends(
    service: OperatorService, clock: ManualClock, watchdog: asyncio.Task[None]
) -> None:
    for _ in range(DEAF_S // EVERY_S):
        await clock.advance(EVERY_S)
        service._pulse.last_turn_at = clock.monotonic()
    assert not watchdog.done()
    await clock.advance(EVERY_S)
    with pytest.raises(RuntimeError, match="heard of nothing"):
        await watchdog


async def test_who_does_nothing_ends(
    service: OperatorService, clock: ManualClock, watchdog: asyncio.Task[None]
) -> None:
    for _ in range(DEAF_S // EVERY_S):
        await clock.advance(EVERY_S)
        service._on_word()
    assert not watchdog.done()
    await clock.advance(EVERY_S)
    with pytest.raises(RuntimeError, match="done nothing"):
        await watchdog


async def test_a_word_is_no_reason_to_look(service: OperatorService) -> None:
    service._on_word()
    assert not service._wake.is_set()


async def page(service: OperatorService, path: str) -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{service._telemetry.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    return await asyncio.to_thread(ask)


#: Shown by one that works; a test with an API server looks at them.
OF_WORK = {table.AT_MAXIMUM.name, table.API_ERRORS.name}


async def test_everything_that_is_declared_is_shown(service: OperatorService) -> None:
    service._pulse.last = Turn(nodes=["Active", "Active", "Pending"], draining=1, paused=1, refused=1, problems=2)
    service._pulse.outcomes["changed"] += 1
    service._pulse.writes = 5
    async with running([service]):
        service._took.record(0.2)
        _, text = await page(service, "/metrics")
    for name in {instrument.name for instrument in table.INSTRUMENTS} - OF_WORK:
        assert f"# HELP {name}" in text, name
    shown = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("naisho_"))
    one = 'node="0",service="operator"'
    for name, value in {
        f'naisho_operator_nodes{{{one},state="active"}}': 2,
        f'naisho_operator_nodes{{{one},state="pending"}}': 1,
        f'naisho_operator_nodes{{{one},state="drained"}}': 0,
        'naisho_operator_reconciles_total{node="0",outcome="changed",service="operator"}': 1,
        f"naisho_operator_writes_total{{{one}}}": 5,
        f"naisho_operator_drains{{{one}}}": 1,
        f"naisho_operator_problems{{{one}}}": 2,
        f"naisho_operator_leader{{{one}}}": 0,
    }.items():
        assert float(shown[name]) == value, name
    assert {instrument.kind for instrument in table.INSTRUMENTS} == set(Kind)


async def test_it_lives_until_it_has_failed(service: OperatorService) -> None:
    with pytest.raises(ExceptionGroup):
        await _live_and_fail(service)


async def _live_and_fail(service: OperatorService) -> None:
    async with running([service]):
        assert (await page(service, "/livez"))[0] == 200
        service.lifecycle.fail(RuntimeError("planted"))
        assert (await page(service, "/livez"))[0] == 503
        assert (await page(service, "/readyz"))[0] == 503
