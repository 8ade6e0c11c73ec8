from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from services.swarm.adapters.entrance import Entrance, Stay
from services.swarm.domain.admission import AdaptiveLimit, Places
from services.swarm.domain.ports import Refused


def entrance(most: int = 3, *, least: int | None = None, wait_s: float = 30.0) -> Entrance:
    return Entrance(AdaptiveLimit(least=least or most, most=most, patience_s=0.2), wait_s=wait_s)


async def begun(door: Entrance, commands: int = 1) -> list[Stay]:
    """Have a request come in, and its commands begin."""
    places = await door.enter(commands)
    return [door.begin(places) for _ in range(commands)]


async def in_line(door: Entrance, *sizes: int) -> list[asyncio.Task[Places]]:
    """Have requests wait, in this order."""
    tasks = []
    for size in sizes:
        before = door.waiting
        tasks.append(asyncio.ensure_future(door.enter(size)))
        await asyncio.sleep(0)
        assert door.waiting == before + 1
    return tasks


async def test_as_many_as_the_limit_come_in_and_the_others_follow_in_order() -> None:
    door = entrance(most=2)
    (one,) = await begun(door)
    (other,) = await begun(door)
    first, second = await in_line(door, 1, 1)
    one.end()
    assert (await first).left == 1
    assert not second.done()
    other.end()
    assert (await second).left == 1
    assert (door.under_way, door.in_flight, door.waiting, door.shed) == (2, 2, 0, 0)


async def test_nobody_overtakes_who_waits() -> None:
    door = entrance(most=4)
    stays = await begun(door, 3)
    (batch,) = await in_line(door, 2)
    (single,) = await in_line(door, 1)
    stays[0].end()
    assert (await batch).left == 2
    assert not single.done(), "its place is taken by the batch before it"
    single.cancel()


async def test_whoever_waits_too_long_is_refused_and_counted() -> None:
    door = entrance(most=1, wait_s=0.05)
    (stay,) = await begun(door)
    outcomes = await asyncio.gather(door.enter(1), door.enter(20), return_exceptions=True)
    assert [(o.status, o.body) for o in outcomes if isinstance(o, Refused)] == [
        (503, "Server busy, try again later")
    ] * 2
    assert (door.shed, door.waiting, door.under_way, door.in_flight) == (21, 0, 1, 1)
    stay.end()
    assert (await door.enter(1)).left == 1, "there is room again, and a timer left over harms nobody"


async def test_without_a_line_it_is_refused_at_once() -> None:
    door = entrance(most=1, wait_s=0)
    await begun(door)
    with pytest.raises(Refused):
        await door.enter(1)
    assert (door.shed, door.under_way, door.waiting) == (1, 1, 0)


async def test_a_request_with_more_commands_than_the_bound_comes_in_alone() -> None:
    door = entrance(most=2)
    (stay,) = await begun(door)
    (large,) = await in_line(door, 20)
    stay.end()
    assert (await large).left == 20


async def test_waiting_for_members_takes_no_place_but_counts_for_the_bound() -> None:
    door = Entrance(AdaptiveLimit(least=1, most=2, patience_s=0.2), wait_s=30)
    assert door.limit == 1
    (one,) = await begun(door)
    one.done()  # and waits for a silent member
    (other,) = await begun(door)
    other.stand_aside()
    (third,) = await in_line(door, 1)
    assert (door.under_way, door.in_flight) == (0, 2)
    one.end()
    assert (await third).left == 1


async def test_places_that_nobody_began_on_are_given_back() -> None:
    door = entrance(most=20)
    places = await door.enter(20)
    places.left -= 1
    (waiting,) = await in_line(door, 1)
    door.give_back(places)
    assert (await waiting).left == 1
    assert (door.under_way, door.in_flight) == (2, 2)
    door.give_back(places)
    assert door.under_way == 2, "they are given back once"


async def test_who_leaves_the_line_is_passed_over() -> None:
    door = entrance(most=1)
    (stay,) = await begun(door)
    gone, stays = await in_line(door, 1, 1)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    stay.end()
    assert (await stays).left == 1
    assert (door.under_way, door.shed) == (1, 0)


async def test_who_leaves_in_the_moment_of_being_called_takes_no_place_along() -> None:
    door = entrance(most=1)
    (stay,) = await begun(door)
    gone, stays = await in_line(door, 1, 1)
    stay.end()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert (await stays).left == 1
    assert (door.under_way, door.in_flight) == (1, 1)


async def test_a_place_is_given_back_once() -> None:
    door = entrance(most=2)
    (stay,) = await begun(door)
    await begun(door)
    for _ in range(2):
        stay.stand_aside()
        stay.done()
    assert (door.under_way, door.in_flight) == (1, 2)
    stay.end()
    assert (door.under_way, door.in_flight) == (1, 1)


@pytest.mark.parametrize(("way", "learns"), [(Stay.done, True), (Stay.stand_aside, False), (Stay.end, False)])
async def test_only_what_was_done_tells_how_long_it_takes(way: Callable[[Stay], None], *, learns: bool) -> None:
    door = entrance(most=100, least=1)
    before = door.limit
    for stay in await begun(door, 50):
        way(stay)
    assert (door.limit > before) is learns
