"""Bytes of events that lie in logs already must mean the same for ever: one golden file for each schema."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.swarm.adapters.event_codec import SCHEMA, SealedBody, UnreadableEvent, decode, encode
from services.swarm.domain.events import Deleted, DeletedMessage, Event, Revoked, Stored
from services.swarm.events.v1 import events_pb2 as pb

FILES = sorted((Path(__file__).parents[2] / "vectors" / "events").glob("mailbox-event-*.json"))
GOLDEN = [(path.stem, row) for path in FILES for row in json.loads(path.read_text())["events"]]
EVENT_ID = bytes(range(16))


def plain(event: Event) -> dict[str, Any]:
    """Spell an event as the golden files do."""
    named = event._asdict() if isinstance(event, Stored) else asdict(event)
    fields = {"hash" if name == "message_hash" else name: value for name, value in named.items()}
    fields.pop("data", None)
    if "messages" in fields:
        fields["messages"] = [
            {"hash" if name == "message_hash" else name: value for name, value in message._asdict().items()}
            for message in fields["messages"]
        ]
    return json.loads(json.dumps({"kind": type(event).__name__, **fields}, default=bytes.hex))  # type: ignore[no-any-return]  # json


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{file}: {row['name']}") for file, row in GOLDEN])
def test_golden_events_decode_as_ever(row: dict[str, Any]) -> None:
    recorded = decode(bytes.fromhex(row["bytes"]))
    assert recorded.event_id.hex() == row["id"]
    assert plain(recorded.event) == row["event"]
    if (body := row.get("body")) is None:
        assert recorded.body is None
    else:
        assert recorded.body == SealedBody(body["key_period"], bytes.fromhex(body["sealed"]))


@pytest.mark.parametrize("row", [row for file, row in GOLDEN if file == f"mailbox-event-{SCHEMA}"])
def test_the_newest_schema_encodes_to_its_golden_bytes(row: dict[str, Any]) -> None:
    recorded = decode(bytes.fromhex(row["bytes"]))
    assert encode(*recorded).hex() == row["bytes"]


def test_every_schema_and_every_kind_of_event_has_its_golden_rows() -> None:
    assert {path.stem for path in FILES} == {f"mailbox-event-{schema}" for schema in range(1, SCHEMA + 1)}
    kinds = {row["event"]["kind"] for _, row in GOLDEN}
    assert len(kinds) == len(pb.MailboxEvent.DESCRIPTOR.oneofs_by_name["kind"].fields)


def test_no_plain_body_gets_into_the_log() -> None:
    event = Stored(bytes(32), 0, 1, 2, b"the plain body", 14)
    sealed = SealedBody(3, bytes(28 + 14))
    payload = encode(EVENT_ID, event, sealed)
    assert b"the plain body" not in payload
    assert decode(payload).event == event._replace(data=None)


def test_a_stored_message_needs_its_body() -> None:
    with pytest.raises(TypeError):
        encode(EVENT_ID, Stored(bytes(32), 0, 1, 2, b"", 0))


@pytest.mark.parametrize(
    "message",
    [
        pb.MailboxEvent(),
        pb.MailboxEvent(schema=2, id=EVENT_ID, unrevoked=pb.TokensUnrevoked()),
        pb.MailboxEvent(schema=1, id=b"short", unrevoked=pb.TokensUnrevoked()),
        pb.MailboxEvent(schema=1, id=EVENT_ID),
        pb.MailboxEvent(schema=1, id=EVENT_ID, stored=pb.MessageStored(hash=bytes(32), sealed=bytes(27))),
        pb.MailboxEvent(schema=1, id=EVENT_ID, stored=pb.MessageStored(hash=bytes(31), sealed=bytes(28))),
        pb.MailboxEvent(
            schema=1, id=EVENT_ID, deleted=pb.MessagesDeleted(messages=[pb.DeletedMessage(hash=bytes(33))])
        ),
        pb.MailboxEvent(schema=1, id=EVENT_ID, revoked=pb.TokensRevoked(tokens=[bytes(35)])),
    ],
)
def test_events_that_nobody_here_made_are_refused(message: pb.MailboxEvent) -> None:
    with pytest.raises(UnreadableEvent):
        decode(message.SerializeToString())


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused(payload: bytes) -> None:
    with contextlib.suppress(UnreadableEvent):
        decode(payload)


@given(st.data())
def test_a_bent_event_decodes_or_is_refused(data: st.DataObject) -> None:
    payload = bytearray.fromhex(data.draw(st.sampled_from(GOLDEN))[1]["bytes"])
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UnreadableEvent):
        decode(bytes(payload[: data.draw(st.integers(0, len(payload)))]))


def test_what_decides_makes_is_what_the_codec_takes() -> None:
    for event in (Deleted((DeletedMessage(bytes(32), -32768, (2**63,)),)), Revoked((bytes(36),), 2**62)):
        assert decode(encode(EVENT_ID, event)).event == event
