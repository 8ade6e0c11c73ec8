from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from naisho.protocol.message_hash import hash_text
from services.swarm.domain.commands import ALL, Delete, DeleteAll, DeleteBefore, Expire, ExpireAll, Revoke, Unrevoke
from services.swarm.domain.events import Deleted, ExpiryChanged, Revoked, Stored, Unrevoked
from services.swarm.domain.evolve import Mailbox
from services.swarm.domain.policies import needed_until_ms
from services.swarm.domain.ports import MessageRecord

if TYPE_CHECKING:
    from .conftest import Box

DAY = 86_400_000


def text(box: Box, data: bytes) -> str:
    return hash_text(box.digest(data))


def expire(box: Box, *data: bytes, ttl: int, **how: Any) -> dict[str, Any]:
    hashes = tuple(map(box.digest, data))
    return box.run(Expire(box.account, hashes, (box.now + ttl,), how.pop("mode", "any"), **how))


def test_delete_names_every_copy_and_is_guarded(box: Box) -> None:
    box.store(b"one", ttl=100_000)
    box.store(b"one", ttl=200_000)
    copies = box.record(b"one").sequences
    assert len(copies) == 2
    box.store(b"two")
    decision = box.decide(Delete(box.account, (box.digest(b"one"), box.digest(b"unknown"))))
    (event,) = decision.events
    assert isinstance(event, Deleted)
    assert [(m.message_hash, m.sequences) for m in event.messages] == [(box.digest(b"one"), copies)]
    assert decision.guarded
    box.fold(decision)
    assert not box.holds(b"one")
    assert box.holds(b"two")


def test_deleting_what_is_not_there_appends_nothing_if_it_is_really_not_there(box: Box) -> None:
    decision = box.decide(Delete(box.account, (box.digest(b"unknown"),)))
    assert decision.events == ()
    assert decision.guarded
    assert box.run(Delete(box.account, (box.digest(b"unknown"),))) == {"deleted": []}


def test_delete_result_is_sorted(box: Box) -> None:
    names = [b"%d" % number for number in range(20)]
    for name in names:
        box.store(name)
    result = box.run(Delete(box.account, tuple(map(box.digest, reversed(names)))))
    assert result == {"deleted": sorted(text(box, name) for name in names)}


def test_delete_all_of_one_namespace_and_of_all(box: Box) -> None:
    for namespace, data in ((0, b"a"), (0, b"b"), (2, b"c"), (-10, b"d")):
        box.store(data, namespace=namespace)
    assert box.run(DeleteAll(box.account, 2, box.now)) == {"deleted": [text(box, b"c")]}
    assert box.run(DeleteAll(box.account, ALL, box.now)) == {
        "deleted": {"-10": [text(box, b"d")], "0": sorted([text(box, b"a"), text(box, b"b")])}
    }
    assert box.view.list(ALL) == []
    assert box.run(DeleteAll(box.account, ALL, box.now)) == {"deleted": {}}


def test_delete_before_goes_by_the_messages_own_time(box: Box) -> None:
    for offset, data in ((-1, b"older"), (0, b"exact"), (1, b"newer")):
        box.store(data, timestamp=box.now - 1000 + offset)
    assert box.run(DeleteBefore(box.account, 0, box.now - 1000)) == {
        "deleted": sorted([text(box, b"older"), text(box, b"exact")])
    }
    assert box.holds(b"newer")


def test_a_great_deletion_is_split_into_events_that_fit(box: Box) -> None:
    records = [MessageRecord(box.digest(b"%d" % n), 0, 1, box.now + 9, n, (n,), 1) for n in range(7_500)]
    box.mailbox = Mailbox({record.message_hash: record for record in records})
    decision = box.decide(DeleteAll(box.account, ALL, box.now))
    sizes = [len(event.messages) for event in decision.events if isinstance(event, Deleted)]
    assert sum(sizes) == 7_500
    assert len(sizes) > 1
    assert max(sizes) < 7_000
    box.fold(decision)
    assert box.view.list(ALL) == []


def test_expire_moves_both_ways(box: Box) -> None:
    box.store(b"early", ttl=100_000)
    box.store(b"late", ttl=300_000)
    result = expire(box, b"late", b"early", b"unknown", ttl=200_000)
    assert result == {"expiry": box.now + 200_000, "updated": sorted([text(box, b"late"), text(box, b"early")])}
    assert box.last_decision is not None
    shortened, extended = box.last_decision.events
    assert isinstance(shortened, ExpiryChanged)
    assert isinstance(extended, Stored)
    assert (extended.rank, extended.data) == (box.record(b"early").rank, None)
    assert box.last_decision.guarded
    assert box.record(b"early").expiry_ms == box.record(b"late").expiry_ms == box.now + 200_000


def test_a_shortened_message_names_its_copies(box: Box) -> None:
    box.store(b"late")
    decision = box.decide(Expire(box.account, (box.digest(b"late"),), (box.now + 5,), "shorten"))
    (event,) = decision.events
    assert isinstance(event, ExpiryChanged)
    assert event.messages[0].sequences == box.record(b"late").sequences


@pytest.mark.parametrize(
    ("mode", "updated", "unchanged"), [("shorten", b"late", b"early"), ("extend", b"early", b"late")]
)
def test_shorten_and_extend_move_one_way_and_tell_the_rest(
    box: Box, mode: str, updated: bytes, unchanged: bytes
) -> None:
    box.store(b"early", ttl=100_000)
    box.store(b"late", ttl=300_000)
    before = box.record(unchanged).expiry_ms
    result = expire(box, b"early", b"late", b"unknown", ttl=200_000, mode=mode)
    assert result == {
        "expiry": box.now + 200_000,
        "updated": [text(box, updated)],
        "unchanged": {text(box, unchanged): before},
    }


def test_unchanged_has_its_keys_in_order(box: Box) -> None:
    names = [b"%d" % number for number in range(10)]
    for name in names:
        box.store(name, ttl=300_000)
    result = expire(box, *names, ttl=200_000, mode="extend")
    assert list(result["unchanged"]) == sorted(text(box, name) for name in names)


def test_without_the_right_to_delete_it_silently_only_extends(box: Box) -> None:
    box.store(b"early", ttl=100_000)
    box.store(b"late", ttl=300_000)
    result = expire(box, b"early", b"late", ttl=200_000, extend_only=True)
    assert result == {"expiry": box.now + 200_000, "updated": [text(box, b"early")]}
    assert box.record(b"late").expiry_ms == box.now + 300_000


def test_an_expiry_is_clamped_but_reported_as_asked(box: Box) -> None:
    box.store(b"one")
    result = expire(box, b"one", ttl=400 * DAY)
    assert result == {"expiry": box.now + 400 * DAY, "updated": [text(box, b"one")]}
    assert box.record(b"one").expiry_ms == box.now + 30 * DAY


def test_setting_the_same_expiry_counts_as_updated_and_appends_nothing(box: Box) -> None:
    box.store(b"one", ttl=100_000)
    assert expire(box, b"one", ttl=100_000)["updated"] == [text(box, b"one")]
    assert box.last_decision is not None
    assert box.last_decision.events == ()


def test_an_expiry_for_each_message(box: Box) -> None:
    box.store(b"one")
    box.store(b"two")
    expiries = (box.now + 1_000, box.now + 2_000)
    command = Expire(box.account, (box.digest(b"two"), box.digest(b"one")), expiries, "any", listed=True)
    result = box.run(command)
    assert result == {"expiry": list(expiries), "updated": sorted([text(box, b"one"), text(box, b"two")])}
    assert (box.record(b"two").expiry_ms, box.record(b"one").expiry_ms) == expiries


def test_an_expiry_in_the_past_is_the_end(box: Box) -> None:
    box.store(b"one")
    assert expire(box, b"one", ttl=-5_000)["updated"] == [text(box, b"one")]
    assert not box.holds(b"one")


def test_a_message_named_twice_ends_where_it_was_sent_last(box: Box) -> None:
    box.store(b"one")
    twice = (box.digest(b"one"), box.digest(b"one"))
    box.run(Expire(box.account, twice, (box.now + 9 * DAY, box.now + 3 * DAY), "any", listed=True))
    assert box.record(b"one").expiry_ms == box.now + 3 * DAY


def test_expire_all_only_shortens(box: Box) -> None:
    box.store(b"early", ttl=100_000)
    box.store(b"late", ttl=300_000)
    box.store(b"elsewhere", ttl=300_000, namespace=2)
    result = box.run(ExpireAll(box.account, 0, box.now + 200_000))
    assert result == {"updated": [text(box, b"late")]}
    assert box.record(b"early").expiry_ms == box.now + 100_000
    assert box.record(b"elsewhere").expiry_ms == box.now + 300_000
    result = box.run(ExpireAll(box.account, ALL, box.now + 150_000))
    assert result == {"updated": {"0": [text(box, b"late")], "2": [text(box, b"elsewhere")]}}


def test_revocations(box: Box) -> None:
    first, second = bytes(36), bytes([1]) * 36
    assert box.run(Revoke(box.account, (first, second, first), box.now)) == {}
    assert box.view.revoked() == (first, second)
    assert box.run(Revoke(box.account, (second,), box.now)) == {}
    assert box.last_decision is not None
    assert box.last_decision.events == ()
    assert box.run(Unrevoke(box.account, (second, bytes([2]) * 36), box.now)) == {"count": 1}
    assert box.view.revoked() == (first,)
    assert box.run(Unrevoke(box.account, (second,), box.now)) == {"count": 0}
    assert box.last_decision.events == ()


def test_fifty_revocations_are_kept_and_the_oldest_goes_first(box: Box) -> None:
    tokens = [bytes([number]) * 36 for number in range(60)]
    for token in tokens[:52]:
        box.run(Revoke(box.account, (token,), box.now))
    assert list(box.view.revoked()) == tokens[2:52]
    box.run(Revoke(box.account, tuple(tokens), box.now))
    assert len(box.view.revoked()) == 50
    assert set(tokens[52:]) <= set(box.view.revoked())


def test_how_long_the_log_must_keep_each_event(box: Box) -> None:
    stored = Stored(bytes(32), 0, 1, box.now + 7, b"", 0)
    longest = box.now + 30 * DAY
    assert needed_until_ms(stored, box.now, box.retention) == box.now + 7
    assert needed_until_ms(Deleted(()), box.now, box.retention) == longest
    assert needed_until_ms(ExpiryChanged(()), box.now, box.retention) == longest
    assert needed_until_ms(Revoked((), 0), box.now, box.retention) is None
    assert needed_until_ms(Unrevoked(()), box.now, box.retention) is None
