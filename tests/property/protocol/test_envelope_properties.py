"""Messages between accounts for any content."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naisho.protocol.account import AccountKeys
from naisho.protocol.envelope import pad, read_content, read_envelope, unpad, unwrap, wrap
from naisho.protocol.errors import BadEnvelope
from naisho.wire.session.v1.session_pb2 import Content, DataMessage

ALICE = b"\x01" * 16
BOB = b"\x02" * 16


@given(st.binary(max_size=400))
def test_padding_hides_the_length_and_comes_off(content: bytes) -> None:
    padded = pad(content)
    assert len(padded) % 160 == 0
    assert 1 < len(padded) - len(content) <= 161
    assert unpad(padded) == content


@settings(max_examples=50)
@given(st.text(max_size=200), st.integers(0, 2**63 - 1), st.data())
def test_messages_arrive_and_damaged_ones_do_not(body: str, timestamp: int, data: st.DataObject) -> None:
    alice, bob = AccountKeys(ALICE), AccountKeys(BOB)
    sent = wrap(alice, bob.account_id, Content(dataMessage=DataMessage(body=body)), timestamp)
    received = unwrap(bob, sent)
    assert (received.sender, received.timestamp_ms) == (alice.account_id, timestamp)
    assert received.content.dataMessage.body == body
    sealed = read_envelope(sent).content
    at = sent.index(sealed) + data.draw(st.integers(0, len(sealed) - 1))
    damaged = sent[:at] + bytes([sent[at] ^ 1 << data.draw(st.integers(0, 7))]) + sent[at + 1 :]
    with pytest.raises(BadEnvelope):
        unwrap(bob, damaged)
    with pytest.raises(BadEnvelope):
        unwrap(bob, sent[:at])


@given(st.binary(max_size=200))
def test_noise_is_read_or_refused(noise: bytes) -> None:
    for read in (read_envelope, read_content):
        with suppress(BadEnvelope):
            read(noise)
