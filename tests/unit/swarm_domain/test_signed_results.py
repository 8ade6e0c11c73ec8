from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from naisho.protocol.message_hash import hash_text
from services.swarm.domain.commands import (
    ALL,
    Command,
    Delete,
    DeleteAll,
    DeleteBefore,
    Expire,
    ExpireAll,
    Revoke,
    Unrevoke,
)
from services.swarm.domain.evolve import Changes
from services.swarm.domain.ports import MemberAnswer
from services.swarm.domain.results import NOT_HELD, member_result, result_text

if TYPE_CHECKING:
    from .conftest import Box

# As text they sort A, B, C; as bytes B, C, A.
A, B, C = (letter * 32 for letter in (b"\xff", b"\x00", b"\x80"))
TA, TB, TC = map(hash_text, (A, B, C))
HEX = "05" + "ab" * 32
ACCOUNT = bytes.fromhex(HEX)
T = 1_700_000_000_000


def test_a_store_result_signs_the_hash(box: Box) -> None:
    command = box.store_command(b"hello")
    result = box.run(command)
    assert result == {"hash": hash_text(box.digest(b"hello")), "expiry": command.expiry_ms}
    assert result_text(HEX, command, result) == hash_text(box.digest(b"hello")).encode()


def test_a_repeated_store_tells_the_expiry_that_stands(box: Box) -> None:
    box.store(b"hello", ttl=200_000)
    again = box.store(b"hello", ttl=100_000)
    assert again == {"hash": hash_text(box.digest(b"hello")), "expiry": box.now + 200_000, "already": True}
    longer = box.store(b"hello", ttl=300_000)
    assert longer == {"hash": hash_text(box.digest(b"hello")), "expiry": box.now + 300_000, "already": True}


def test_a_member_that_lacks_what_the_others_have_says_so(box: Box) -> None:
    assert member_result(box.store_command(b"hello"), Changes(), box.view) == NOT_HELD


def test_a_member_that_lacked_the_message_and_got_it_by_an_extension_counts_it(box: Box) -> None:
    command = Expire(box.account, (A,), (box.now + 9,), "extend")
    result = member_result(command, Changes(created={A: box.now + 9}), box.view)
    assert result == {"expiry": box.now + 9, "updated": [TA], "unchanged": {}}


@pytest.mark.parametrize(
    ("command", "result", "text"),
    [
        (Delete(ACCOUNT, (B, A)), {"deleted": [TA, TB]}, HEX + TB + TA + TA + TB),
        (DeleteAll(ACCOUNT, 0, T), {"deleted": [TA, TB]}, f"{HEX}{T}{TA}{TB}"),
        (DeleteAll(ACCOUNT, ALL, T), {"deleted": {"0": [TB], "2": [TA, TC]}}, f"{HEX}{T}{TA}{TB}{TC}"),
        (DeleteBefore(ACCOUNT, 3, T), {"deleted": [TB]}, f"{HEX}{T}{TB}"),
        (DeleteBefore(ACCOUNT, ALL, T), {"deleted": {"0": [TB], "2": [TA]}}, f"{HEX}{T}{TA}{TB}"),
        (Expire(ACCOUNT, (B, A), (T,), "any"), {"expiry": T, "updated": [TA]}, f"{HEX}{T}{TB}{TA}{TA}"),
        (
            Expire(ACCOUNT, (A, B, C), (T, 2, 3), "shorten", listed=True),
            {"expiry": [T, 2, 3], "updated": [TB], "unchanged": {TC: 7, TA: 8}},
            f"{HEX}{T}23{TA}{TB}{TC}{TB}{TA}8{TC}7",
        ),
        (ExpireAll(ACCOUNT, ALL, T), {"updated": {"0": [TB], "2": [TA]}}, f"{HEX}{T}{TA}{TB}"),
        (ExpireAll(ACCOUNT, 0, T), {"updated": []}, f"{HEX}{T}"),
        (Revoke(ACCOUNT, (b"x" * 36, b"a" * 36), T), {}, f"{HEX}{T}" + "x" * 36 + "a" * 36),
        (Unrevoke(ACCOUNT, (b"x" * 36,), T), {"count": 1}, f"{HEX}{T}" + "x" * 36),
    ],
)
def test_texts_under_the_members_signatures(command: Command, result: MemberAnswer, text: str) -> None:
    assert result_text(HEX, command, result) == text.encode()
