from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.swarm.domain.commands import Delete
from services.swarm.domain.decide import MAX_COPIES
from services.swarm.domain.events import Deleted, Stored
from services.swarm.domain.policies import Quotas
from services.swarm.domain.ports import Refused

if TYPE_CHECKING:
    from .conftest import Box

OUTBOX = -21


def test_a_first_store_is_one_unguarded_event(box: Box) -> None:
    decision = box.decide(box.store_command(b"hello"))
    assert decision.events == (Stored(box.digest(b"hello"), 0, box.now, box.now + 86_400_000, b"hello", 5),)
    assert not decision.guarded


def test_a_store_again_appends_nothing_unless_it_lives_longer(box: Box) -> None:
    box.store(b"hello", ttl=100_000)
    for ttl in (100_000, 50_000):
        decision = box.decide(box.store_command(b"hello", ttl=ttl))
        assert decision.events == ()
        assert decision.guarded


def test_a_store_again_that_lives_longer_is_appended_in_full_with_its_rank(box: Box) -> None:
    box.store(b"hello", ttl=100_000)
    rank = box.record(b"hello").rank
    box.store(b"other")
    decision = box.decide(box.store_command(b"hello", ttl=200_000))
    (event,) = decision.events
    assert isinstance(event, Stored)
    assert (event.rank, event.data, event.expiry_ms, event.size) == (rank, None, box.now + 200_000, 5)
    assert decision.guarded
    box.fold(decision)
    assert [m.message_hash for m in box.view.list(0)] == [box.digest(b"hello"), box.digest(b"other")]


def test_a_store_after_a_delete_is_a_new_store(box: Box) -> None:
    box.store(b"hello")
    first = box.record(b"hello").rank
    box.run(Delete(box.account, (box.digest(b"hello"),)))
    (event,) = box.decide(box.store_command(b"hello")).events
    assert isinstance(event, Stored)
    assert event.rank is None
    box.store(b"hello")
    assert box.record(b"hello").rank > first


def test_a_store_after_expiry_is_a_new_store(box: Box) -> None:
    box.store(b"hello", ttl=10_000)
    box.store(b"other")
    box.now += 10_000
    (event,) = box.decide(box.store_command(b"hello")).events
    assert isinstance(event, Stored)
    assert event.rank is None
    box.store(b"hello")
    assert [m.message_hash for m in box.view.list(0)] == [box.digest(b"other"), box.digest(b"hello")]


def test_copies_in_the_log_are_bounded(box: Box) -> None:
    for extension in range(MAX_COPIES * 3):
        box.store(b"hello", ttl=100_000 + extension)
        assert len(box.record(b"hello").sequences) <= MAX_COPIES
    replaced: set[int] = set()
    for extension in range(MAX_COPIES):
        box.store(b"hello", ttl=200_000 + extension)
        assert box.last_decision is not None
        (event,) = box.last_decision.events
        assert isinstance(event, Stored)
        replaced |= set(event.replaces)
    assert len(replaced) == MAX_COPIES
    assert not replaced & set(box.record(b"hello").sequences)


def test_a_public_outbox_keeps_one_message(box: Box) -> None:
    box.store(b"first", namespace=OUTBOX)
    sequences = box.record(b"first").sequences
    result = box.store(b"second", namespace=OUTBOX)
    assert box.last_decision is not None
    stored, deleted = box.last_decision.events
    assert isinstance(stored, Stored)
    assert isinstance(deleted, Deleted)
    assert [(m.message_hash, m.namespace, m.sequences) for m in deleted.messages] == [
        (box.digest(b"first"), OUTBOX, sequences)
    ]
    assert "already" not in result
    assert [m.message_hash for m in box.view.list(OUTBOX)] == [box.digest(b"second")]


def test_even_the_first_store_into_a_public_outbox_is_guarded(box: Box) -> None:
    assert box.decide(box.store_command(b"first", namespace=OUTBOX)).guarded


def test_a_public_outbox_leaves_other_namespaces_alone(box: Box) -> None:
    box.store(b"private", namespace=21)
    box.store(b"elsewhere", namespace=-1)
    box.store(b"first", namespace=OUTBOX)
    assert box.holds(b"private")
    assert box.holds(b"elsewhere")


def test_storing_the_same_again_in_a_public_outbox_changes_nothing(box: Box) -> None:
    box.store(b"first", namespace=OUTBOX)
    result = box.store(b"first", namespace=OUTBOX)
    assert box.last_decision is not None
    assert box.last_decision.events == ()
    assert result["already"] is True
    assert box.holds(b"first")


@pytest.mark.parametrize(
    ("quotas", "text"),
    [
        (
            Quotas(namespace_messages=2),
            "Mailbox full: at most 2 messages in one namespace; delete some or let them expire",
        ),
        (
            Quotas(namespace_bytes=20),
            "Mailbox full: at most 20 bytes in one namespace; delete messages or let them expire",
        ),
        (
            Quotas(account_messages=2),
            "Mailbox full: at most 2 messages in one account; delete some or let them expire",
        ),
        (
            Quotas(account_bytes=20),
            "Mailbox full: at most 20 bytes in one account; delete messages or let them expire",
        ),
    ],
)
def test_a_full_mailbox_refuses_and_keeps_what_it_has(make_box: type[Box], quotas: Quotas, text: str) -> None:
    box = make_box(quotas=quotas)
    box.store(b"ten bytes1")
    box.store(b"ten bytes2")
    with pytest.raises(Refused) as refused:
        box.store(b"ten bytes3")
    assert (refused.value.status, refused.value.body) == (403, text)
    assert box.holds(b"ten bytes1")
    assert box.holds(b"ten bytes2")
    assert box.store(b"ten bytes1", ttl=90_000_000)["already"] is True


def test_room_comes_back_by_deletion_and_expiry(make_box: type[Box]) -> None:
    box = make_box(quotas=Quotas(namespace_messages=1))
    box.store(b"one", ttl=10_000)
    box.now += 10_000
    box.store(b"two")
    box.run(Delete(box.account, (box.digest(b"two"),)))
    box.store(b"three")
    assert box.holds(b"three")


def test_strangers_cannot_take_the_room_of_the_owner(make_box: type[Box]) -> None:
    box = make_box(quotas=Quotas(account_messages=3))
    for namespace in (0, 10, -10):
        box.store(b"spam %d" % namespace, namespace=namespace)
    with pytest.raises(Refused):
        box.store(b"spam", namespace=20)
    for namespace in (2, 3, -11):
        box.store(b"own %d" % namespace, namespace=namespace)
    with pytest.raises(Refused):
        box.store(b"own", namespace=5)


def test_replacing_needs_no_more_room_than_the_new_message(make_box: type[Box]) -> None:
    box = make_box(quotas=Quotas(namespace_messages=1, namespace_bytes=10, account_messages=1, account_bytes=10))
    box.store(b"0123456789", namespace=OUTBOX)
    box.store(b"abcdefghij", namespace=OUTBOX)
    assert box.holds(b"abcdefghij")
    assert not box.holds(b"0123456789")
