"""A run in memory: what it counts, what it promises, and that planted losses and resurrections are found."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from naisho.testing import Fault
from naisho.testing.mailboxes import Outcome as Answer
from operators.load.acting import Actors
from operators.load.checking import Findings
from operators.load.errors import NotJoined
from operators.load.ledger import Entry, Ledger, State
from operators.load.mix import Mix, Operation
from operators.load.outcomes import Outcome
from operators.load.plan import Plan
from operators.load.running import LoadRun
from tests.integration.load.played import LOAD, PlayedNetwork, loaded, until

SECOND = 1.0


async def carried_out(run: LoadRun) -> None:
    run.start()
    await run.finished()


def entry_of(ledger: Ledger, state: State) -> Entry:
    return next(entry for entry in ledger if entry.state is state)


async def check(run: LoadRun, patience_s: float = 0.0) -> Findings:
    return await run.verify(patience_s=patience_s)


@pytest.mark.parametrize("onion", [False, True], ids=["straight", "onion"])
async def test_everything_is_acknowledged_and_found_again(*, onion: bool) -> None:
    network = PlayedNetwork()
    async with loaded(network, onion=onion, paths=3) as run:
        await carried_out(run)
        findings = await check(run)
        tally, ledger = run.tally, run.ledger
    assert not tally.errors
    assert tally.total(Outcome.ACKNOWLEDGED) == tally.total("offered") > 80
    stores = tally.operations[Operation.STORE].outcomes
    deletions = tally.operations[Operation.DELETE].outcomes
    assert ledger.acknowledged == stores[Outcome.ACKNOWLEDGED]
    assert ledger.deleted == deletions[Outcome.ACKNOWLEDGED] > 0
    assert findings.clean
    assert findings.messages == ledger.acknowledged - ledger.deleted
    assert findings.deletions == ledger.deleted
    assert findings.copies > findings.messages * 3
    assert sum(swarm.acknowledged for swarm in tally.swarms.values()) == tally.total("offered")
    methods = {carried.method for carried in network.carried}
    assert methods == ({"store", "retrieve", "delete"} if onion else set()), "onion paths carry it, or none"


async def test_a_planted_loss_is_found_at_one_member_and_at_all() -> None:
    network = PlayedNetwork()
    async with loaded(network) as run:
        await carried_out(run)
        one, all_over = [entry for entry in run.ledger if entry.state is State.KEPT][:2]
        place = run.surroundings.place(run._accounts[one.mailbox])
        network.forget(place.members[:1], one)
        network.lose_for_good(run._accounts[all_over.mailbox], all_over)
        findings = await check(run)
    assert findings.lost == 2
    named = {lost["hash"]: lost for lost in findings.lost_named}
    assert named[one.message_hash]["members"] == 1
    assert named[one.message_hash]["swarm"] == place.name
    assert named[all_over.message_hash]["members"] == named[all_over.message_hash]["of"] > 1
    assert not findings.clean


async def test_a_message_whose_bytes_have_changed_is_lost() -> None:
    network = PlayedNetwork()
    async with loaded(network) as run:
        await carried_out(run)
        entry = entry_of(run.ledger, State.KEPT)
        members = run.surroundings.place(run._accounts[entry.mailbox]).members[:1]
        network.forget(members, entry)
        network.raise_again(members, entry, b"other bytes under the same hash")
        findings = await check(run)
    assert [lost["hash"] for lost in findings.lost_named] == [entry.message_hash]


async def test_a_planted_resurrection_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "operators.load.acting.os.urandom", lambda size: drawn.setdefault(len(drawn), bytes([7]) * size)
    )
    drawn: dict[int, bytes] = {}
    network = PlayedNetwork()
    # Every message is the same, so each account has one at most, and its bytes are known.
    async with loaded(network, mix=Mix.parse("store=1"), accounts=3) as run:
        await carried_out(run)
        entry = entry_of(run.ledger, State.KEPT)
        assert (await check(run)).clean
        run.ledger.deleting(entry)
        run.ledger.gone(entry, entry.acknowledged_ms)
        network.lose_for_good(run._accounts[entry.mailbox], entry)
        assert (await check(run)).clean
        network.raise_again(run.surroundings.place(run._accounts[entry.mailbox]).members[-1:], entry, drawn[0])
        findings = await check(run)
    assert (findings.lost, findings.undone) == (0, 1)
    assert findings.undone_named[0]["hash"] == entry.message_hash
    assert findings.undone_named[0]["members"] == 1


async def test_a_member_that_is_away_leaves_the_others_to_be_read() -> None:
    network = PlayedNetwork()
    async with loaded(network) as run:
        await carried_out(run)
        entry = entry_of(run.ledger, State.KEPT)
        members = run.surroundings.place(run._accounts[entry.mailbox]).members
        network.faults[members[0].key] = Fault.DOWN
        findings = await check(run)
        assert findings.clean
        assert findings.unread_members > 0
        network.faults |= dict.fromkeys((member.key for member in members), Fault.DOWN)
        findings = await check(run)
    assert not findings.clean
    assert findings.lost == 0
    assert findings.unread_messages > 0


async def test_a_member_that_lags_is_waited_for_and_not_for_ever() -> None:
    network = PlayedNetwork()
    async with loaded(network) as run:
        await carried_out(run)
        entry = entry_of(run.ledger, State.KEPT)
        (lagging, *_) = run.surroundings.place(run._accounts[entry.mailbox]).members
        network.forget((lagging,), entry)
        checking = asyncio.create_task(check(run, patience_s=5))
        await until(lambda: run.surroundings.refreshed >= 3)  # a round is over, and the next one begins
        network.forgotten.clear()
        assert (await checking).clean
        network.forget((lagging,), entry)
        assert (await check(run, patience_s=0.3)).lost == 1


async def test_a_check_may_be_made_again_and_again_while_the_load_goes_on() -> None:
    network = PlayedNetwork()
    async with loaded(network, plan=Plan.steady(150)) as run:
        run.start()
        seen = []
        for _ in range(3):
            before = run.ledger.acknowledged
            await until(lambda before=before: run.ledger.acknowledged > before + 30)  # type: ignore[misc]  # binds now
            findings = await check(run, patience_s=2)
            assert findings.clean
            seen.append(findings.messages)
        await run.stop()
        assert run.under_way == 0
        assert (await check(run)).messages >= seen[-1]
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]


async def test_what_nobody_answered_is_neither_lost_nor_kept() -> None:
    network = PlayedNetwork()
    network.mute = {node.key for node in network.directory.nodes}
    changes: dict[str, Any] = {"mix": Mix.parse("store=1"), "seconds": 0.4, "plan": Plan.steady(100, 0.3)}
    async with loaded(network, **changes) as run:
        await carried_out(run)
        assert run.tally.total(Outcome.UNKNOWN) == run.tally.total("offered") > 10
        assert set(run.tally.errors) == {"timed_out"}
        assert run.ledger.acknowledged == 0
        network.mute.clear()
        findings = await check(run)
    assert (findings.messages, findings.lost) == (0, 0)
    assert findings.clean


async def test_a_deletion_without_answer_leaves_its_message_in_doubt() -> None:
    network = PlayedNetwork()
    async with loaded(network, plan=Plan.steady(100), seconds=0.4) as run:
        run.start()
        await until(lambda: run.ledger.acknowledged > 20)
        network.mute = {node.key for node in network.directory.nodes}
        deletions = run.tally.operations[Operation.DELETE].outcomes
        await until(lambda: deletions[Outcome.UNKNOWN] > 0)
        await run.stop()
        network.mute.clear()
        doubtful = sum(entry.state is State.DOUBTFUL for entry in run.ledger)
        assert doubtful == deletions[Outcome.UNKNOWN]
        assert (await check(run)).clean


@pytest.mark.parametrize(
    ("answer", "outcome", "kind"),
    [
        (Answer(401, "no"), Outcome.FAILED, "status_401"),
        (Answer(503, "Server busy, try again later"), Outcome.UNKNOWN, "overloaded"),
        (Answer(200, {"swarm": {}}), Outcome.UNKNOWN, "bad_receipt"),
        (Answer(200, "no JSON"), Outcome.FAILED, "bad_answer"),
    ],
)
async def test_refusals_are_told_from_what_is_in_doubt(answer: Answer, outcome: Outcome, kind: str) -> None:
    network = PlayedNetwork()
    network.answers = {node.key: lambda: answer for node in network.directory.nodes}
    async with loaded(network, mix=Mix.parse("store=1"), plan=Plan.steady(50, 0.2)) as run:
        await carried_out(run)
    assert set(run.tally.errors) == {kind}
    assert run.tally.total(outcome) == run.tally.total("offered")
    assert run.ledger.acknowledged == 0


async def test_a_node_that_has_no_acknowledged_message_is_a_hint_that_the_check_follows() -> None:
    network = PlayedNetwork()
    async with loaded(network, mix=Mix.parse("store=1"), plan=Plan.steady(50, 0.3)) as run:
        await carried_out(run)
        entry = entry_of(run.ledger, State.KEPT)
        network.lose_for_good(run._accounts[entry.mailbox], entry)
        actors: Actors = run._actors
        run.ledger.deleting(entry)
        done = await actors._delete(run._accounts[entry.mailbox], entry)
        assert (done.outcome, done.kind) == (Outcome.FAILED, "absent")
        assert (await check(run)).lost == 1


async def test_a_changed_directory_is_followed() -> None:
    network = PlayedNetwork(nodes=9, swarms=2)
    async with loaded(network, plan=Plan.steady(100), refresh_s=3600.0) as run:
        run.start()
        await until(lambda: run.ledger.acknowledged > 20)
        one, other = network.directory.swarm_ids
        moved = network.directory.members(one)[0]
        network.move(moved, other)
        await until(lambda: run.surroundings.directory.epoch == network.directory.epoch)
        acknowledged = run.ledger.acknowledged
        await until(lambda: run.ledger.acknowledged > acknowledged + 20)
        await run.stop()
        findings = await check(run, patience_s=1)
        places = {place.name: place.members for place in map(run.surroundings.place, run._accounts)}
    assert moved.key in {member.key for member in places[f"{other:x}"]}
    assert moved.key not in {member.key for member in places[f"{one:x}"]}
    assert run.tally.total("offered") == run.tally.total(Outcome.ACKNOWLEDGED)
    assert findings.clean
    assert findings.unread_members == 0


@pytest.mark.parametrize("onion", [False, True], ids=["straight", "onion"])
async def test_a_run_outlives_a_restart_of_everything(*, onion: bool) -> None:
    network = PlayedNetwork()
    changes: dict[str, Any] = {"plan": Plan.steady(60), "refresh_s": 0.3, "seconds": 1.0, "onion": onion, "paths": 2}
    async with loaded(network, **changes) as run:
        run.start()
        await until(lambda: run.ledger.acknowledged > 20)
        network.offline = True
        await until(lambda: run.tally.errors.total() > 20 and run.surroundings.unanswered > 0)
        network.offline = False
        acknowledged = run.ledger.acknowledged
        await until(lambda: run.ledger.acknowledged > acknowledged + 40)
        await run.stop()
        findings = await check(run)
    assert findings.clean
    assert findings.messages + findings.deletions > 40


async def test_a_network_that_never_answers_is_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.load.surroundings.JOIN_TRIES", 2)
    network = PlayedNetwork()
    network.offline = True
    with pytest.raises(NotJoined):
        async with loaded(network):
            pass


async def test_a_mistake_of_this_program_is_no_error_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise AssertionError("a mistake")

    monkeypatch.setattr(Actors, "perform", broken)
    async with loaded(PlayedNetwork(), replace(LOAD, plan=Plan.steady(50, 0.1))) as run:
        run.start()
        with pytest.raises(AssertionError, match="a mistake"):
            await run.finished()
