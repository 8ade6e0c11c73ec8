"""Notes between members: what is asked about survives the way, and what cannot be understood is refused."""

from __future__ import annotations

import pytest

from services.swarm.adapters.notes_codec import UnreadableNote, get_command, put_command
from services.swarm.domain.commands import (
    ALL,
    Asked,
    Delete,
    DeleteAll,
    DeleteBefore,
    Expire,
    ExpireAll,
    Revoke,
    Store,
    Stores,
    Unrevoke,
)
from services.swarm.events.v1 import receipts_pb2 as pb

ACCOUNT = b"\x05" + b"a" * 32
HASHES = (b"h" * 32, b"i" * 32)
TOKENS = (b"t" * 36,)


def bare(message_hash: bytes) -> Store:
    """Return what a member needs of a store."""
    return Store(b"", 0, message_hash, b"", 0, 0)


def sent(command: Asked, events: int = 1) -> pb.Note:
    note = pb.Note(token=b"12345678", events=[bytes([n]) * 16 for n in range(events)])
    put_command(note, command)
    return pb.Note.FromString(note.SerializeToString())


@pytest.mark.parametrize(
    "command",
    [
        Delete(ACCOUNT, HASHES),
        DeleteAll(ACCOUNT, ALL, 7),
        DeleteAll(ACCOUNT, -10, 7),
        DeleteBefore(ACCOUNT, 0, 8),
        Expire(ACCOUNT, HASHES, (1, 2), "shorten", listed=True),
        Expire(ACCOUNT, HASHES[:1], (1,), "any", extend_only=True),
        ExpireAll(ACCOUNT, ALL, 9),
        Revoke(ACCOUNT, TOKENS, 10),
        Unrevoke(ACCOUNT, TOKENS, 11),
        bare(HASHES[0]),
    ],
)
def test_a_command_survives_the_way(command: Asked) -> None:
    assert get_command(sent(command)) == command


def test_of_stores_the_hashes_survive_and_nothing_else_is_told() -> None:
    whole = [Store(ACCOUNT, 2, message_hash, b"body", 3, 4) for message_hash in HASHES]
    note = sent(Stores(tuple(whole)), events=2)
    assert get_command(note) == Stores(tuple(map(bare, HASHES)))
    assert get_command(sent(whole[0])) == bare(HASHES[0])
    assert ACCOUNT[1:] not in note.SerializeToString()


@pytest.mark.parametrize("events", [0, 1, 3])
def test_stores_without_an_event_each_are_unreadable(events: int) -> None:
    with pytest.raises(UnreadableNote):
        get_command(sent(Stores(tuple(map(bare, HASHES))), events))


def test_a_note_of_a_later_version_is_unreadable() -> None:
    with pytest.raises(UnreadableNote):
        get_command(pb.Note(token=b"12345678"))
