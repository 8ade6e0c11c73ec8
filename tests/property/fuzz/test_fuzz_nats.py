"""Everything that is read from a NATS server."""

from __future__ import annotations

from collections.abc import Callable

from services.chassis.eventlog.jetstream_api import sequence_of, stored_event
from services.chassis.eventlog.jetstream_deliveries import read_deliveries
from services.chassis.eventlog.port import EventLogError
from services.chassis.nats.errors import ProtocolViolation
from services.chassis.nats.parsing import Parser

Fuzz = Callable[..., None]
MAX_MESSAGE = 4096


def parse_stream(data: bytes) -> None:
    given = 0

    def take(subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        nonlocal given
        given += len(subject) + len(reply or b"") + len(headers or b"") + len(payload)
        assert len(headers or b"") + len(payload) <= MAX_MESSAGE

    faults: list[Exception] = []
    parser = Parser({b"1": take, b"22": take}, lambda _line: None, faults.append, max_message=MAX_MESSAGE)
    half = len(data) // 2
    parser.feed(data[:half])
    parser.feed(data[half:])
    assert not faults
    assert given + parser.held <= len(data)


def test_the_stream_of_a_server(fuzz: Fuzz) -> None:
    seeds = [
        b'INFO {"max_payload":1048576}\r\nPING\r\nPONG\r\n+OK\r\n',
        b"MSG n.swarm.00.ab 1 $JS.ACK.S.f1.1.1.1.1795323449472087030.4 2\r\np0\r\n",
        b"MSG inbox 22  2\r\nok\r\nMSG a 1 0\r\n\r\n",
        b"HMSG p 1 76 76\r\nNATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 5\r\nNats-Last-Stream: 10\r\n\r\n\r\n",
        b"HMSG a 1 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n-ERR 'Permissions Violation for Publish to \"a\"'\r\n",
    ]
    fuzz("nats stream", parse_stream, seeds, (ProtocolViolation,), tokens=[b"MSG ", b"HMSG ", b"\r\n", b" 1 "])


def test_acknowledgements(fuzz: Fuzz) -> None:
    seeds = [
        b'{"stream":"S","seq":11}',
        b'{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 5"},"stream":"S","seq":0}',
        b'{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}',
        b'{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}',
    ]
    fuzz("acknowledgement", sequence_of, seeds, (EventLogError,), tokens=[b"err_code", b"description", b"seq"])


def test_reads(fuzz: Fuzz) -> None:
    seeds = [
        b"NATS/1.0\r\nNats-Subject: a.x\r\nNats-Sequence: 3\r\nNats-Time-Stamp: 2026-11-22T04:58:15.680776926Z\r\n\r\n",
        b"NATS/1.0 404 Message Not Found\r\n\r\n",
    ]
    fuzz("read", lambda data: stored_event(data, b"payload"), seeds, (EventLogError,), tokens=[b"\r\nNats-Sequence: "])


def test_deliveries(fuzz: Fuzz) -> None:
    def parse(data: bytes) -> None:
        replies = data.split(b"\n")
        read = read_deliveries([part for reply in replies for part in (b"n.a", reply, b"x")], 0)
        assert len(read.events) == read.last
        assert read.gap == (len(read.events) < len(replies))

    seeds = [
        b"$JS.ACK.S.f1.1.1.1.1795323449472087030.4\n$JS.ACK.S.f1.1.3.2.1795323449472926255.3",
        b"$JS.ACK.hub.acc.S.f1.1.1.1.1795323449472087030.4.rnd",
    ]
    fuzz("deliveries", parse, seeds, (EventLogError,), tokens=[b"$JS.ACK.", b"."])
