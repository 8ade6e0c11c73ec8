from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.nats.errors import ProtocolViolation
from services.chassis.nats.parsing import MAX_LINE, Parser

Message = tuple[bytes, bytes | None, bytes | None, bytes]


class Recorder:
    def __init__(self, *, max_message: int = 1000) -> None:
        self.messages: list[Message] = []
        self.operations: list[bytes] = []
        self.faults: list[Exception] = []
        self.callbacks = {b"1": self.take}
        self.parser = Parser(self.callbacks, self.operations.append, self.faults.append, max_message=max_message)

    def take(self, *message: bytes | None) -> None:
        self.messages.append(message)  # type: ignore[arg-type]  # the four that MessageCallback names


def message(subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> bytes:
    fields = [subject, b"1", *([reply] if reply else [])]
    if headers is None:
        return b"MSG %b %d\r\n%b\r\n" % (b" ".join(fields), len(payload), payload)
    total = len(headers) + len(payload)
    return b"HMSG %b %d %d\r\n%b%b\r\n" % (b" ".join(fields), len(headers), total, headers, payload)


tokens = st.from_regex(rb"[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){0,3}", fullmatch=True)
headers = st.none() | st.from_regex(rb"NATS/1\.0( [0-9]{3})?\r\n([A-Z]: [a-z]{0,5}\r\n){0,3}\r\n", fullmatch=True)
messages = st.tuples(tokens, st.none() | tokens, headers, st.binary(max_size=300))


@given(st.lists(messages, max_size=8), st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_messages_survive_any_cutting_of_the_stream(sent: list[Message], cuts: list[int]) -> None:
    recorder = Recorder()
    stream = b"PING\r\n" + b"".join(message(*each) for each in sent) + b"PONG\r\n"
    at = 0
    for cut in cuts:
        recorder.parser.feed(stream[at : at + cut])
        at += cut
    recorder.parser.feed(stream[at:])
    assert recorder.messages == sent
    assert recorder.operations == [b"PING", b"PONG"]
    assert recorder.parser.held == 0


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_understood_or_refused(data: bytes) -> None:
    recorder = Recorder()
    try:
        recorder.parser.feed(data)
    except ProtocolViolation:
        return
    assert recorder.parser.held <= len(data)


@given(st.lists(messages, min_size=1, max_size=4), st.data())
def test_a_damaged_stream_never_holds_more_than_it_was_given(sent: list[Message], data: st.DataObject) -> None:
    stream = bytearray(b"".join(message(*each) for each in sent))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] = data.draw(st.integers(0, 255))
    recorder = Recorder()
    try:
        recorder.parser.feed(bytes(stream))
    except ProtocolViolation:
        return
    assert recorder.parser.held <= len(stream)


@pytest.mark.parametrize(
    "stream",
    [
        b"MSG a 1 x\r\n",
        b"MSG a 1 -1\r\n",
        b"MSG a 1 1001\r\n",
        b"MSG 5\r\n",
        b"MSG\r\n",
        b"M\r\n",
        b"HMSG a 1 6 5\r\n12345\r\n",
        b"HMSG a 1 -3 5\r\n12345\r\n",
        b"HMSG a 1 5\r\n",
        b"MSG a 1 3\r\n12345\r\n",
        b"MSG a 1 " + b"9" * 5000 + b"\r\n",
        b"x" * MAX_LINE,
    ],
)
def test_impossible_streams_are_refused(stream: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        Recorder().parser.feed(stream)


def test_the_empty_reply_of_the_servers_own_answers_is_no_reply() -> None:
    recorder = Recorder()
    recorder.parser.feed(b"MSG inbox 1  2\r\nok\r\n")
    assert recorder.messages == [(b"inbox", None, None, b"ok")]


def test_messages_of_unknown_subscriptions_are_skipped() -> None:
    recorder = Recorder()
    recorder.parser.feed(b"MSG a 2 2\r\nno\r\nMSG a 1 3\r\nyes\r\n")
    assert [each[3] for each in recorder.messages] == [b"yes"]


def test_a_callback_that_raises_costs_the_others_nothing() -> None:
    recorder = Recorder()
    recorder.callbacks[b"2"] = lambda *_: 1 // 0  # type: ignore[assignment]  # it never returns
    recorder.parser.feed(b"MSG a 2 1\r\nx\r\nMSG a 1 1\r\ny\r\n")
    assert [each[3] for each in recorder.messages] == [b"y"]
    [fault] = recorder.faults
    assert isinstance(fault, ZeroDivisionError)


def test_a_large_message_in_small_pieces_is_joined_once() -> None:
    recorder = Recorder(max_message=1 << 22)
    payload = bytes(1 << 21)
    stream = message(b"a", None, None, payload)
    for at in range(0, len(stream), 4096):
        recorder.parser.feed(stream[at : at + 4096])
    assert recorder.messages[0][3] == payload
    assert recorder.parser.held == 0
