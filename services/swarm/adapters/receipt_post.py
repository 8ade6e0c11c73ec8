"""Notes and receipts between the members of a swarm, over NATS core: all of one turn of the loop in one message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import orjson
from google.protobuf.message import DecodeError

from services.chassis.nats.connection import NatsConnection, Subscription
from services.chassis.nats.errors import NatsError
from services.chassis.nats.names import NetworkNames
from services.swarm.adapters.notes_codec import UnreadableNote, get_command, put_command
from services.swarm.adapters.witness import Answer, Note, Part
from services.swarm.events.v1 import receipts_pb2 as pb

TOKEN_BYTES: Final = 8
_KEY_BYTES: Final = 32
#: A message is sent when it has grown to this, well below what the server takes.
_MOST_BYTES: Final = 256 * 1024
#: Messages go at most this often: whoever stores alone does not wait, what many ask for travels together.
_PACE_S: Final = 0.002


class ReceiptPost:
    """Carries notes to the other members, and receipts to whoever waits. What cannot be sent is dropped.

    Args:
        connection: the node's NATS user; stays the caller's.
        names: the network's.
        own_key: the node's Ed25519 public key.
    """

    def __init__(self, connection: NatsConnection, names: NetworkNames, own_key: bytes) -> None:
        self._connection = connection
        self._names = names
        self._own_key = own_key
        self._on_note: Callable[[Note], None] | None = None
        self._on_receipt: Callable[[str, bytes, bytes], None] | None = None
        self._on_question: Callable[[bytes, int, Answer], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._swarm: int | None = None
        self._subject = ""
        self._subscriptions: list[Subscription] = []
        self._notes: list[pb.Note] = []
        self._receipts: dict[bytes, list[pb.Receipt]] = {}
        self._bytes = 0
        self._flushing = False
        self._flushed = 0.0

    def deliver_to(
        self,
        *,
        on_note: Callable[[Note], None],
        on_receipt: Callable[[str, bytes, bytes], None],
        on_question: Callable[[bytes, int, Answer], None],
    ) -> None:
        """Say who takes what arrives.

        Args:
            on_note: the notes of other nodes.
            on_receipt: (node as hex, token, answer as JSON) of other nodes.
            on_question: (token, position, what takes the answer): whether this node holds what the log holds.
        """
        self._on_note = on_note
        self._on_receipt = on_receipt
        self._on_question = on_question

    def join(self, swarm: int) -> None:
        """Hear the notes of this swarm, and send notes to it, from now on."""
        if swarm == self._swarm:
            return
        self.close()
        self._swarm, self._subject = swarm, self._names.waiting(swarm)
        subscribe = self._connection.subscribe
        self._subscriptions = [
            subscribe(self._subject, self._take_notes),
            subscribe(self._names.receipts_for(self._own_key.hex()), self._take_receipts),
            subscribe(self._names.level(swarm), self._take_question),
        ]

    def close(self) -> None:
        """Hear nothing any more."""
        for subscription in self._subscriptions:
            self._connection.unsubscribe(subscription)
        self._subscriptions = []
        self._swarm = None

    def send_note(self, note: Note) -> None:
        """Tell the other members that this node waits; ``note.answer`` is not used."""
        message = pb.Note(token=note.token, events=note.events, position=note.position, mailbox=note.mailbox)
        put_command(message, note.command)
        self._notes.append(message)
        self._sending(message.ByteSize())

    def ask_level(self, token: bytes, position: int) -> None:
        """Ask the other members whether they hold what the log holds up to a position."""
        if self._swarm is not None:
            question = pb.LevelQuestion(node=self._own_key, token=token, position=position)
            self._publish(self._names.level(self._swarm), question.SerializeToString())

    def _send_receipt(self, node: bytes, token: bytes, answer: Part) -> None:
        receipt = pb.Receipt(token=token, answer=orjson.dumps(answer))
        self._receipts.setdefault(node, []).append(receipt)
        self._sending(len(receipt.answer))

    def _sending(self, size: int) -> None:
        self._bytes += size
        if self._bytes > _MOST_BYTES:
            self._flush()
        elif not self._flushing:
            self._flushing = True
            if self._loop.time() < self._flushed + _PACE_S:
                self._loop.call_at(self._flushed + _PACE_S, self._flush)
            else:
                self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        self._flushed = self._loop.time()
        self._bytes = 0
        notes, self._notes = self._notes, []
        receipts, self._receipts = self._receipts, {}
        if notes and self._swarm is not None:
            self._publish(self._subject, pb.Notes(node=self._own_key, notes=notes).SerializeToString())
        for node, answers in receipts.items():
            packed = pb.Receipts(node=self._own_key, receipts=answers).SerializeToString()
            self._publish(self._names.receipts_for(node.hex()), packed)

    def _publish(self, subject: str, payload: bytes) -> None:
        try:
            self._connection.publish(subject, payload)
        except NatsError:
            return  # whoever waits sees a silent member, and that is what this node is

    def _take_notes(self, subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        del subject, reply, headers
        try:
            packed = pb.Notes.FromString(payload)
        except DecodeError:
            return
        node = packed.node
        if len(node) != _KEY_BYTES or node == self._own_key or self._on_note is None:
            return
        answer = self._answer_to(node)
        for note in packed.notes:
            try:
                command = get_command(note)
            except UnreadableNote:
                continue
            self._on_note(Note(note.token, tuple(note.events), note.position, note.mailbox, command, answer))

    def _take_question(self, subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        del subject, reply, headers
        try:
            question = pb.LevelQuestion.FromString(payload)
        except DecodeError:
            return
        if len(question.node) == _KEY_BYTES and question.node != self._own_key and self._on_question is not None:
            self._on_question(question.token, question.position, self._answer_to(question.node))

    def _answer_to(self, node: bytes) -> Answer:
        return lambda token, answer: self._send_receipt(node, token, answer)

    def _take_receipts(self, subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        del subject, reply, headers
        try:
            packed = pb.Receipts.FromString(payload)
        except DecodeError:
            return
        if self._on_receipt is None:
            return
        node = packed.node.hex()
        for receipt in packed.receipts:
            self._on_receipt(node, receipt.token, receipt.answer)
