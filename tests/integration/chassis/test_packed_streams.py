"""Packed streams over real gRPC on unix sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from services.chassis.packed import PackedClient, Reply, StreamBroken, StreamState


async def echo(code: int, body: bytes) -> Reply:
    await asyncio.sleep(0)
    return Reply(code, body[::-1], binary=code % 2 == 1)


async def test_ten_thousand_interleaved_calls_each_get_their_own_answer(peer, client) -> None:
    order = random.Random(1)

    async def shuffled(code: int, body: bytes) -> Reply:
        for _ in range(order.randrange(5)):
            await asyncio.sleep(0)
        return await echo(code, body)

    calls: PackedClient = client(await peer(shuffled))
    gate = asyncio.Semaphore(500)

    async def one(number: int) -> None:
        body = b"%d" % number * (1 + number % 50)
        async with gate:
            assert await calls.call(200 + number % 300, body, 30) == Reply(
                200 + number % 300, body[::-1], binary=number % 2 == 1
            )

    async with asyncio.TaskGroup() as group:
        for number in range(10_000):
            group.create_task(one(number))
    assert calls.in_flight == 0
