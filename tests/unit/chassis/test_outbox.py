from __future__ import annotations

import asyncio
import random

from naisho.wire.stream.v1.stream_pb2 import Packet
from services.chassis.packed.frames import FRAME_OVERHEAD, Outbox


async def test_frames_wait_together_and_leave_together() -> None:
    outbox = Outbox(1000, lambda: 0)
    taker = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    for number in range(3):
        outbox.put(number, 200 + number, b"x" * number, binary=number == 1)
    packet = await taker
    assert packet is not None
    assert [(f.id, f.code, f.body, f.binary) for f in packet.frames] == [
        (0, 200, b"", False),
        (1, 201, b"x", True),
        (2, 202, b"xx", False),
    ]
    assert outbox.bytes == 0


async def test_packets_keep_order_and_size_and_the_count_of_bytes_is_right() -> None:
    draw = random.Random(4)
    outbox, sizes = Outbox(500, lambda: 0), [draw.randrange(300) for _ in range(1000)]
    for number, size in enumerate(sizes):
        outbox.put(number, 1, bytes(size))
    assert outbox.bytes == sum(sizes) + 1000 * FRAME_OVERHEAD
    outbox.close()
    packets: list[Packet] = []
    while (packet := await outbox.take()) is not None:
        packets.append(packet)
    assert [frame.id for packet in packets for frame in packet.frames] == list(range(1000))
    assert all(packet.ByteSize() <= 500 for packet in packets)
    assert sum(packet.ByteSize() for packet in packets) <= sum(sizes) + 1000 * FRAME_OVERHEAD
    assert outbox.bytes == 0


async def test_a_frame_that_exceeds_a_packet_travels_alone() -> None:
    outbox = Outbox(100, lambda: 0)
    for number, size in enumerate((10, 5000, 10)):
        outbox.put(number, 1, bytes(size))
    outbox.close()
    ids = []
    while (packet := await outbox.take()) is not None:
        ids.append([frame.id for frame in packet.frames])
    assert ids == [[0], [1], [2]]


async def test_the_overhead_of_a_frame_is_never_underestimated() -> None:
    packet = Packet()
    packet.frames.add(id=2**64 - 1, code=2**32 - 1, body=bytes(11 * 2**20), binary=True)
    assert packet.ByteSize() <= 11 * 2**20 + FRAME_OVERHEAD


async def test_a_closed_and_empty_outbox_ends_and_a_cancelled_taker_leaves_it_usable() -> None:
    outbox = Outbox(100, lambda: 0)
    taker = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    taker.cancel()
    await asyncio.gather(taker, return_exceptions=True)
    outbox.put(1, 1, b"")
    assert await outbox.take() is not None
    taker = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    outbox.close()
    assert await taker is None


async def test_with_many_calls_under_way_frames_wait_for_each_other() -> None:
    outbox = Outbox(10_000, lambda: 50)
    taking = asyncio.create_task(outbox.take())
    for number in range(5):
        outbox.put(number, 1, b"x")
        await asyncio.sleep(0)
    packet = await taking
    assert packet is not None
    assert len(packet.frames) == 5
