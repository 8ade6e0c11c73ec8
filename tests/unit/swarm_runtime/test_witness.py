from __future__ import annotations

import asyncio
from base64 import b64decode
from typing import Any

import pytest

from naisho.protocol.signing import SigningKey, verify
from services.chassis.clock import ManualClock
from services.swarm.adapters.store.local import LocalStore
from services.swarm.adapters.witness import Note, Witness
from services.swarm.domain.commands import Delete, Store, Stores
from services.swarm.domain.events import Deleted, DeletedMessage
from services.swarm.projections.arrivals import Arrivals

TAG = b"t" * 16
ACCOUNT = b"\x05" + bytes(32)
KEY = SigningKey(b"k" * 32)


class CountingKey(SigningKey):
    """Counts what it signs."""

    def __init__(self, seed: bytes) -> None:
        super().__init__(seed)
        self.signed: list[bytes] = []

    def sign(self, text: bytes) -> bytes:
        self.signed.append(text)
        return super().sign(text)


class At:
    """A position that a test moves."""

    position = 0


class Lab:
    def __init__(self, store: LocalStore, clock: ManualClock, fold: Any, arrive: Any) -> None:
        self.at = At()
        self.clock = clock
        self.key = CountingKey(b"k" * 32)
        self.witness = Witness(store.reader, self.at, self.key, clock, remember_s=5.0)
        self.answers: list[tuple[bytes, dict[str, Any]]] = []
        self._fold, self._arrive = fold, arrive

    async def fold(self, *events: tuple[int, Any], young: bool = True) -> None:
        arrived = [self._arrive(sequence, event, young=young) for sequence, event in events]
        changes = await self._fold(*arrived)
        self.at.position = arrived[-1].sequence
        self.witness.folded(Arrivals("main", arrived, self.at.position, 0), changes)

    def ask(self, token: bytes, command: Any, events: list[int], position: int = 0, *, here: bool = False) -> None:
        ids = tuple(number.to_bytes(16, "big") for number in events)
        note = Note(token, ids, position, TAG, command, lambda *answer: self.answers.append(answer), here=here)
        self.witness.take(note)


@pytest.fixture
def lab(store: LocalStore, clock: ManualClock, fold: Any, arrive: Any) -> Lab:
    return Lab(store, clock, fold, arrive)


def store_command(number: int) -> Store:
    return Store(b"", 0, bytes([number]) * 32, b"", 0, 0)


async def test_what_this_node_itself_is_asked_for_is_known(lab: Lab, stored: Any, arrive: Any) -> None:
    lab.ask(b"theirs", store_command(1), [7])
    lab.ask(b"own", store_command(2), [8], here=True)
    batches = {n: Arrivals("main", [arrive(n, stored(n))], n, 0) for n in (7, 8, 9)}
    assert {n for n, batch in batches.items() if lab.witness.is_asked_here(batch)} == {8}
    both = Arrivals("main", [arrive(n, stored(n)) for n in (7, 8)], 8, 0)
    assert lab.witness.is_asked_here(both)
    await lab.fold((8, stored(2)))
    assert not lab.witness.is_asked_here(batches[8])


async def test_a_note_before_the_event(lab: Lab, stored: Any) -> None:
    lab.ask(b"token", store_command(1), [7])
    assert lab.answers == []
    await lab.fold((7, stored(1)))
    ((token, answer),) = lab.answers
    assert token == b"token"
    assert answer["expiry"] == stored(1).expiry_ms
    assert "already" not in answer
    assert verify(KEY.public, answer["hash"].encode(), b64decode(answer["signature"]))


async def test_a_note_behind_the_event(lab: Lab, stored: Any) -> None:
    await lab.fold((7, stored(1)))
    assert lab.witness.signed == 0, "nobody asked, nobody signed"
    await lab.clock.advance(4.9)
    lab.ask(b"token", store_command(1), [7])
    assert len(lab.answers) == 1


async def test_nothing_is_signed_for_a_note_that_comes_too_late(lab: Lab, stored: Any) -> None:
    await lab.fold((7, stored(1)))
    await lab.clock.advance(5.1)
    lab.ask(b"token", store_command(1), [7])
    assert lab.answers == []


async def test_an_expired_note_is_answered_no_more(lab: Lab, stored: Any) -> None:
    lab.ask(b"token", store_command(1), [7])
    await lab.clock.advance(5.1)
    await lab.fold((7, stored(1)))
    assert lab.answers == []
    assert lab.witness.signed == 0


async def test_old_events_are_signed_by_nobody(lab: Lab, stored: Any) -> None:
    lab.ask(b"token", store_command(1), [7])
    await lab.fold((7, stored(1)), young=False)
    assert lab.answers == []


async def test_a_command_of_several_events_is_answered_once_all_are_folded(lab: Lab, stored: Any) -> None:
    await lab.fold((1, stored(1)), (2, stored(2)))
    gone = [Deleted((DeletedMessage(bytes([n]) * 32, 0, ()),)) for n in (1, 2)]
    await lab.fold((3, gone[0]))
    lab.ask(b"token", Delete(ACCOUNT, (b"\1" * 32, b"\2" * 32)), [3, 4])
    assert lab.answers == []
    await lab.fold((4, gone[1]))
    assert len(lab.answers[0][1]["deleted"]) == 2


async def test_a_second_note_replaces_the_first_and_keeps_what_was_folded(lab: Lab, stored: Any) -> None:
    await lab.fold((1, stored(1)), (2, stored(2)))
    gone = [Deleted((DeletedMessage(bytes([n]) * 32, 0, ()),)) for n in (1, 2)]
    command = Delete(ACCOUNT, (b"\1" * 32, b"\2" * 32))
    lab.ask(b"token", command, [3, 4])
    await lab.fold((3, gone[0]))
    assert lab.witness.has_folded(b"token", (3).to_bytes(16, "big"))
    lab.ask(b"token", command, [3, 5])
    await lab.fold((5, gone[1]))
    ((_, answer),) = lab.answers
    assert len(answer["deleted"]) == 2


async def test_without_events_the_position_is_waited_for(lab: Lab, stored: Any) -> None:
    lab.ask(b"token", store_command(1), [], position=7)
    assert lab.answers == []
    await lab.fold((7, stored(1)))
    ((_, answer),) = lab.answers
    assert answer["already"] is True


async def test_what_is_not_held_is_not_signed(lab: Lab) -> None:
    lab.ask(b"token", store_command(1), [], position=0)
    ((_, answer),) = lab.answers
    assert answer["failed"] is True
    assert "signature" not in answer
    assert lab.witness.signed == 0


async def test_what_is_remembered_is_bounded(lab: Lab, stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.swarm.adapters.witness._REMEMBERED", 10)
    for number in range(50):
        lab.ask(number.to_bytes(8, "big"), store_command(1), [1000 + number])
    await lab.fold(*((number, stored(number)) for number in range(1, 51)))
    lab.ask(b"one more", store_command(1), [2000])
    assert len(lab.witness._notes) <= 11
    assert len(lab.witness._awaited) <= 11
    assert len(lab.witness._early) <= 11


async def test_several_stores_are_answered_at_once_each_from_its_own_event(lab: Lab, stored: Any) -> None:
    await lab.fold((6, stored(2)))
    lab.ask(b"token", Stores((store_command(1), store_command(2), store_command(9))), [7, 8, 9])
    await lab.fold((7, stored(1)), (8, stored(2)))
    assert lab.answers == []
    await lab.fold((9, stored(3)))
    ((token, results),) = lab.answers
    assert token == b"token"
    assert ["already" in result for result in results[:2]] == [False, True]  # type: ignore[index]  # a list here
    assert results[2] == {"failed": True, "query_failure": True}  # type: ignore[index]
    assert lab.witness.signed == 2


async def test_with_few_notes_a_member_signs_ahead_and_says_nothing(lab: Lab, stored: Any) -> None:
    lab.ask(b"token", store_command(1), [7])
    await asyncio.sleep(0)
    assert len(lab.key.signed) == 1
    assert lab.answers == []
    assert lab.witness.signed == 0
    await lab.fold((7, stored(1)))
    assert len(lab.key.signed) == 1, "the answer bears the signature that was there"
    ((_, answer),) = lab.answers
    assert verify(KEY.public, answer["hash"].encode(), b64decode(answer["signature"]))
    assert lab.witness.signed == 1


async def test_what_was_signed_ahead_goes_with_its_note(lab: Lab, stored: Any) -> None:
    lab.ask(b"token", store_command(1), [7])
    await asyncio.sleep(0)
    await lab.clock.advance(5.1)
    await lab.fold((7, stored(1)))
    assert lab.answers == []
    assert lab.witness.signed == 0


async def test_what_was_signed_ahead_is_not_given_out_for_what_is_not_held(lab: Lab, stored: Any) -> None:
    lab.ask(b"token", store_command(1), [7])
    await asyncio.sleep(0)
    await lab.fold((7, stored(2)))
    ((_, answer),) = lab.answers
    assert answer == {"failed": True, "query_failure": True}


async def test_with_many_notes_nobody_signs_ahead(lab: Lab) -> None:
    for number in range(20):
        lab.ask(b"token %d" % number, store_command(number), [100 + number])
    await asyncio.sleep(0)
    assert len(lab.key.signed) == 4


async def test_what_depends_on_the_mailbox_is_not_signed_ahead(lab: Lab) -> None:
    lab.ask(b"token", Delete(ACCOUNT, (b"\x01" * 32,)), [7])
    await asyncio.sleep(0)
    assert lab.key.signed == []
