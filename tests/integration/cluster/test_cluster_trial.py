"""``naisho cluster test`` on a network in memory: it passes on one that works, and fails on each that does not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from naisho import Client
from naisho.testing import FakeNetwork, Fault
from operators.cluster import trial_act
from operators.cluster.errors import TrialFailed
from operators.cluster.trial_message import HOPS, WORDS, Trial
from operators.trial.talk import NothingArrived, next_event
from tests.integration.cluster.calling import Naisho

STEPS = ["path", "path", "send", "read", "unsend", "forget"]


@pytest.fixture
def network() -> FakeNetwork:
    return FakeNetwork()


@pytest.fixture
def opener(network: FakeNetwork, tmp_path: Path) -> Callable[[str], AbstractAsyncContextManager[Client]]:
    def opened(name: str) -> AbstractAsyncContextManager[Client]:
        return Client.open(tmp_path / name, network=network.file, transport=network, create=True, environment={})

    return opened


async def test_a_network_that_works_passes(opener: Any) -> None:
    told: list[Any] = []
    steps = await Trial(told.append).run(opener, 30.0)
    assert [step["step"] for step in steps] == STEPS
    assert told == steps
    assert steps[0]["hops"] == HOPS
    count, _, asked = steps[2]["receipts"].partition(" of ")
    assert int(count) == int(asked) > 0


async def test_a_network_that_does_not_answer_fails_in_time(network: FakeNetwork, opener: Any) -> None:
    network.faults |= dict.fromkeys(network.faults, Fault())
    with pytest.raises(TrialFailed):
        await Trial(lambda _step: None).run(opener, 0.001)


async def test_a_message_that_comes_out_otherwise_fails(opener: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    send = Client.send

    async def distort(client: Client, to: Any, text: str) -> Any:
        return await send(client, to, text + "!")

    monkeypatch.setattr(Client, "send", distort)
    with pytest.raises(TrialFailed, match="read.*another message arrived"):
        await Trial(lambda _step: None).run(opener, 30.0)


async def test_a_message_that_is_not_taken_back_fails(opener: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def keep(client: Client, _peer: Any) -> Any:
        return [type("Kept", (), {"text": WORDS})]

    monkeypatch.setattr(Client, "history", keep)
    with pytest.raises(TrialFailed, match="forget.*still has the text"):
        await Trial(lambda _step: None).run(opener, 30.0)


async def test_waiting_for_an_event_ends(opener: Any) -> None:
    async with opener("alone") as client:
        await client.new_account("Alone")
        with pytest.raises(NothingArrived):
            await next_event(client, object, within_s=0.05)  # type: ignore[type-var]  # of no kind that there is
