"""``naisho cluster test`` on a network in memory: it passes on one that works, and fails on each that does not."""

from __future__ import annotations

import os
import tempfile
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from naisho import Client, Unsent
from naisho.errors import SwarmError
from naisho.testing import FakeNetwork, Fault
from operators.cluster import trial_act, trial_message
from operators.cluster.errors import TrialFailed
from operators.cluster.trial_message import HOPS, WORDS, Opener, Trial
from operators.trial.talk import NothingArrived, describe_path, next_event
from tests.integration.cluster.calling import Naisho

STEPS = ["path", "path", "send", "read", "unsend", "forget"]


@pytest.fixture
def network() -> FakeNetwork:
    return FakeNetwork()


@pytest.fixture
def opener(network: FakeNetwork, tmp_path: Path) -> Opener:
    def opened(name: str) -> AbstractAsyncContextManager[Client]:
        return Client.open(tmp_path / name, network=network.file, transport=network, create=True, environment={})

    return opened


async def test_a_network_that_works_passes(opener: Opener) -> None:
    told: list[Any] = []
    steps = await Trial(told.append).run(opener, 30.0)
    assert [step["step"] for step in steps] == STEPS
    assert told == steps
    assert steps[0]["hops"] == HOPS
    count, _, asked = steps[2]["receipts"].partition(" of ")
    assert int(count) == int(asked) > 0


async def test_a_network_that_never_answers_fails_in_time(network: FakeNetwork, opener: Opener) -> None:
    network.faults = dict.fromkeys(network.directory.by_key, Fault.SILENT)
    with pytest.raises(TrialFailed, match="path"):
        await Trial(lambda _step: None).run(opener, 0.5)


async def test_receipts_that_do_not_hold_fail(network: FakeNetwork, opener: Opener) -> None:
    """Most members of each swarm sign nothing right; the message is stored all the same."""
    for swarm in network.directory.swarm_ids:
        members = [node.key for node in network.directory.nodes if node.swarm_id == swarm]
        network.faults |= dict.fromkeys(members[: len(members) // 2 + 1], Fault.LIAR)
    with pytest.raises((TrialFailed, SwarmError)):
        await Trial(lambda _step: None).run(opener, 30.0)


async def test_a_message_that_comes_out_otherwise_fails(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    send = Client.send

    async def distort(client: Client, to: Any, text: str) -> Any:
        return await send(client, to, f"{text}!")

    monkeypatch.setattr(Client, "send", distort)
    with pytest.raises(TrialFailed, match=r"read.*another message arrived"):
        await Trial(lambda _step: None).run(opener, 30.0)


async def test_a_text_that_stays_with_the_reader_fails(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    async def keep(*_: Any) -> list[Any]:
        return [SimpleNamespace(text=WORDS)]

    monkeypatch.setattr(Client, "history", keep)
    with pytest.raises(TrialFailed, match=r"forget.*still has the text"):
        await Trial(lambda _step: None).run(opener, 30.0)


@pytest.mark.parametrize(
    ("changed", "why"),
    [({"hops": [{"node": "a"}, {"node": "b"}, {"node": "a"}]}, "2 different nodes"), ({"light": "yellow"}, "yellow")],
)
async def test_a_path_that_is_short_or_not_proven_fails(
    opener: Opener, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], why: str
) -> None:
    monkeypatch.setattr(trial_message, "describe_path", lambda status: {**describe_path(status), **changed})
    with pytest.raises(TrialFailed, match=f"path.*{why}"):
        await Trial(lambda _step: None).run(opener, 30.0)


async def test_another_message_that_is_taken_back_fails(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    async def another(client: Client, kind: Any) -> Any:
        event = await next_event(client, kind)
        return replace(event, sent_ms=event.sent_ms + 1) if isinstance(event, Unsent) else event

    monkeypatch.setattr(trial_message, "next_event", another)
    with pytest.raises(TrialFailed, match=r"forget.*another message was taken back"):
        await Trial(lambda _step: None).run(opener, 30.0)


async def test_waiting_for_an_event_ends(opener: Opener) -> None:
    async with opener("alone") as client:
        await client.new_account("Alone")
        with pytest.raises(NothingArrived):
            await next_event(client, Unsent, within_s=0.05)


async def test_the_command_tells_each_step_and_leaves_nothing(
    network: FakeNetwork, naisho: Naisho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = partial(Client.open, transport=network, environment={})
    monkeypatch.setattr(
        trial_act, "open_client", lambda folder, _file: opening(folder, network=network.file, create=True)
    )
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = tmp_path / "network.json"
    file.write_text("{}")
    said = await naisho("test", "--network", str(file), target=False)
    assert (said.code, said.out.count("✓")) == (0, len(STEPS)), said
    assert WORDS not in said.out + said.err
    told = await naisho("test", "--network", str(file), "--json", target=False)
    assert (told.code, told.document["passed"]) == (0, True)
    assert not any(name.startswith("naisho-test-") for name in os.listdir(tmp_path))  # noqa: PTH208 - no pathlib in tasks


async def test_the_command_without_a_network_says_so(naisho: Naisho) -> None:
    said = await naisho("test", "--json", target=False)
    assert (said.code, said.error["code"]) == (1, "no_network")
