"""The search finds what it looks for in every form, and nothing else."""

from __future__ import annotations

import os
import struct
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path

import pytest

from naisho.protocol.account import AccountKeys
from tests.integration.claims import search, tape

ADDRESS = "127.77.3.9"
PACKED = bytes((127, 77, 3, 9))


@pytest.mark.parametrize(
    "text",
    [
        b"peer 127.77.3.9:4711",
        b'{"ip":"127.77.3.9"}',
        b"::ffff:127.77.3.9",
        b"::ffff:7f4d:309",
        b"addr=7f4d0309 ",
        b"0x7F4D0309",
        b"address 2135753481",
        b"\x0a\x04" + PACKED,
        bytes(10) + b"\xff\xff" + PACKED,
        struct.pack("<H", 2) + b"\x30\x39" + PACKED + bytes(8),
        b64encode(b"from 127.77.3.9"),
        b64encode(b"x127.77.3.9"),
        b64encode(b"xx127.77.3.9yy"),
    ],
)
def test_an_address_is_found(text: bytes) -> None:
    assert search.address(ADDRESS).is_in(b"noise " + text + b" noise")


@pytest.mark.parametrize("text", [b"127.77.3.91", b"1127.77.3.9", b"127.77.39", b"a7f4d0309b", b"12135753481", PACKED])
def test_another_number_is_not(text: bytes) -> None:
    assert not search.address(ADDRESS).is_in(b"\x00" + text + b"\x00")


def test_a_mailbox_is_found_in_every_form_at_every_place() -> None:
    keys = AccountKeys.generate()
    trace = search.mailbox(keys)
    for name in (keys.account_id.raw, keys.account_id.key, keys.ed25519_public):
        for before in range(5):
            around = os.urandom(before) + name + os.urandom(7)
            for text in (around, around.hex().encode(), around.hex().upper().encode()):
                assert trace.is_in(text)
            assert trace.is_in(b64encode(around))
            assert trace.is_in(urlsafe_b64encode(around))


def test_another_mailbox_is_not() -> None:
    trace = search.mailbox(AccountKeys.generate())
    other = AccountKeys.generate()
    assert not trace.is_in(other.account_id.raw + other.account_id.hex.encode() + b64encode(other.account_id.raw))
    assert not trace.is_in(os.urandom(1_000_000))


def test_a_tape_puts_pieces_together_and_reads_from_marks(tmp_path: Path) -> None:
    path = tmp_path / "tapes" / "0.tape"
    writer = tape.Tape(path)
    one, other = writer.stream("https in"), writer.stream("log out")
    one(b"sec")
    other(b"noise")
    one(b"ret")
    mark = tape.length(path)
    assert tape.read(path) == [tape.Stream("https in", b"secret"), tape.Stream("log out", b"noise")]
    one(b" more")
    writer.close()
    assert tape.read(path, mark) == [tape.Stream("https in", b" more")]
    assert tape.read(path, 0, mark) == [tape.Stream("https in", b"secret"), tape.Stream("log out", b"noise")]
    with path.open("ab") as file:
        file.write(b"\x01\x00")
    assert tape.read(path, mark) == [tape.Stream("https in", b" more")]
