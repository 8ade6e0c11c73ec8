"""A log is known by what it had where and when: not by what others have put there again."""

from __future__ import annotations

import pytest

from services.chassis.clock import ManualClock
from services.chassis.eventlog.memory import MemoryLog
from services.chassis.eventlog.memory_stream import MemoryStream
from services.swarm.adapters.event_codec import encode
from services.swarm.adapters.log_identity import recognise
from services.swarm.adapters.store.progress import Progress
from services.swarm.domain.events import Revoked
from services.swarm.projections.arrivals import Anchor

SUBJECT = "n-1.swarm.00." + "ab" * 16


class Reader:
    """Appends to a log, and remembers it as a store does."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.stream = MemoryStream(self.clock)
        self.log = MemoryLog(self.stream)
        self.anchors: list[Anchor] = []

    async def append(self, number: int) -> None:
        await self.clock.advance(1.0)
        event_id = number.to_bytes(16)
        sequence = await self.log.append(SUBJECT, encode(event_id, Revoked((bytes([number]) * 36,), number)))
        event = self.stream.read(sequence)
        assert event is not None
        self.anchors.append(Anchor(sequence, event_id, event.time_ns))

    def progress(self) -> Progress:
        return Progress(
            1,
            "main",
            frozenset({0}),
            incarnation=self.stream.identity.incarnation,
            position=self.anchors[-1].sequence,
            anchors=self.anchors,
        )


@pytest.fixture
async def reader() -> Reader:
    made = Reader()
    for number in range(1, 6):
        await made.append(number)
    return made


async def test_a_log_that_has_grown_is_known(reader: Reader) -> None:
    before = reader.progress()
    await reader.append(6)
    found = await recognise(reader.log, [before])
    assert (found.known, found.end) == (True, 6)


async def test_a_log_that_others_have_mended_to_the_letter_is_another(reader: Reader) -> None:
    """What was erased since the copy was made is back in it: whoever erased must look again."""
    copy = reader.stream.copy()
    await reader.append(6)
    await reader.append(7)
    before = reader.progress()

    reader.stream.restore(copy)
    await reader.append(6)
    await reader.append(7)
    assert [anchor[:2] for anchor in reader.anchors[5:7]] == [anchor[:2] for anchor in reader.anchors[7:9]]

    found = await recognise(reader.log, [before])
    assert (found.known, found.agreed, found.end) == (False, 5, 7)


@pytest.mark.parametrize(("back_s", "known"), [(4.0, True), (30.0, False)])
async def test_servers_clocks_may_differ_but_not_by_much(reader: Reader, back_s: float, *, known: bool) -> None:
    """Another server leads, and its clock is behind: what comes later was stamped earlier."""
    reader.clock._origin_ms -= round(back_s * 1000)
    reader.stream._last_time_ns = 0
    await reader.append(6)
    reader.anchors = reader.anchors[-1:]
    found = await recognise(reader.log, [reader.progress()])
    assert found.known is known
