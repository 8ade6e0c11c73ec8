"""Two operators of one install: one works, the other waits until the Lease is given back or has run out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from operators.membership.kube.cluster import Cluster
from operators.membership.kube.errors import LeadershipLost
from operators.membership.kube.lease import Leadership
from operators.membership.manifests.site import Site
from services.chassis.clock import ManualClock
from tests.integration.operator.install import INSTALL, NAMESPACE, Install

LASTS_S = 30.0
RENEW_S = 10.0
LEASE = f"{INSTALL}-operator"


def candidate(cluster: Cluster, holder: str, clock: ManualClock) -> Leadership:
    site = Site(INSTALL, INSTALL, NAMESPACE, "")
    return Leadership(cluster, site, holder, clock, lasts_s=LASTS_S, renew_s=RENEW_S)


def lease(install: Install) -> dict[str, Any]:
    spec: dict[str, Any] = install.store.get("leases", LEASE)["spec"]
    return spec


async def asleep(clock: ManualClock, seconds: float = 0) -> None:
    """Let time pass, and wait until who is about to act has acted, and sleeps again."""
    await clock.advance(seconds)
    await clock.wait_for_sleepers()


async def test_of_two_that_ask_at_once_exactly_one_works(alone: Install, cluster: Cluster) -> None:
    clock = ManualClock()
    both = [candidate(cluster, name, clock) for name in ("a", "b")]
    waits = [asyncio.create_task(one.acquire()) for one in both]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    await clock.wait_for_sleepers()
    assert sorted(one.held for one in both) == [False, True]
    assert lease(alone)["holderIdentity"] == next(name for name, one in zip("ab", both, strict=True) if one.held)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


async def test_a_silent_holder_is_followed_by_the_waiting_ones_own_clock_alone(
    alone: Install, cluster: Cluster
) -> None:
    """The holder's clock is a day ahead: what it wrote is no measure of how long it has been silent."""
    await candidate(cluster, "a", ManualClock(1_700_086_400_000)).acquire()
    clock = ManualClock()
    waiting = candidate(cluster, "b", clock)
    task = asyncio.create_task(waiting.acquire())
    await clock.wait_for_sleepers()
    for _ in range(int(LASTS_S // 2)):
        await asleep(clock, 2)
    assert not task.done(), "it waits for a whole lease from its own first look on"
    await clock.advance(2)
    await task
    assert waiting.held
    assert lease(alone)["holderIdentity"] == "b"
    assert lease(alone)["leaseTransitions"] == 1


async def test_who_renews_keeps_it(alone: Install, cluster: Cluster) -> None:
    clock = ManualClock()
    holder, waiting = candidate(cluster, "a", clock), candidate(cluster, "b", clock)
    await holder.acquire()
    keeping, task = asyncio.create_task(holder.keep()), asyncio.create_task(waiting.acquire())
    await clock.wait_for_sleepers(2)
    for _ in range(60):
        await clock.advance(2)
        await clock.wait_for_sleepers(2)
    assert not task.done()
    assert not keeping.done()
    for each in (keeping, task):
        each.cancel()
    await asyncio.gather(keeping, task, return_exceptions=True)
    assert lease(alone)["leaseTransitions"] == 0


async def test_what_is_given_back_is_taken_at_the_next_look(alone: Install, cluster: Cluster) -> None:
    clock = ManualClock()
    holder, waiting = candidate(cluster, "a", clock), candidate(cluster, "b", clock)
    await holder.acquire()
    task = asyncio.create_task(waiting.acquire())
    await clock.wait_for_sleepers()
    await holder.release()
    assert lease(alone)["holderIdentity"] == ""
    await clock.advance(2)
    await task
    assert waiting.held
    await holder.release()
    assert lease(alone)["holderIdentity"] == "b", "nobody gives back what is not theirs"


async def test_a_lease_that_another_has_taken_ends_the_work(alone: Install, cluster: Cluster) -> None:
    clock = ManualClock()
    holder = candidate(cluster, "a", clock)
    await holder.acquire()
    keeping = asyncio.create_task(holder.keep())
    await clock.wait_for_sleepers()
    alone.store.merge("leases", LEASE, {"spec": {"holderIdentity": "b"}})
    await clock.advance(RENEW_S)
    with pytest.raises(LeadershipLost):
        await keeping
    assert not holder.held


async def test_a_lease_in_which_somebody_wrote_a_note_is_not_lost(alone: Install, cluster: Cluster) -> None:
    clock = ManualClock()
    holder = candidate(cluster, "a", clock)
    await holder.acquire()
    keeping = asyncio.create_task(holder.keep())
    await clock.wait_for_sleepers()
    noted = False

    def note(verb: str, resource: str) -> int:
        nonlocal noted
        if (verb, resource) == ("patch", "leases") and not noted:
            noted = True
            alone.store.merge("leases", LEASE, {"metadata": {"annotations": {"note": "between look and touch"}}})
        return 0

    alone.api.refuse = note
    renewed = lease(alone)["renewTime"]
    await asleep(clock, RENEW_S)
    assert noted
    assert not keeping.done()
    assert lease(alone)["renewTime"] > renewed
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_an_api_server_that_is_away_for_less_than_a_lease_is_survived(alone: Install, cluster: Cluster) -> None:
    clock = ManualClock()
    holder = candidate(cluster, "a", clock)
    await holder.acquire()
    keeping = asyncio.create_task(holder.keep())
    await clock.wait_for_sleepers()
    await alone.server.close()
    await asleep(clock, RENEW_S)
    for _ in range(8):
        await asleep(clock, 2)
    await alone.server.open()
    renewed = lease(alone)["renewTime"]
    await asleep(clock, 2)
    assert lease(alone)["renewTime"] > renewed, "28 seconds without a word are not 30"
    assert not keeping.done()

    await alone.server.close()
    await asleep(clock, RENEW_S)
    for _ in range(9):
        await asleep(clock, 2)
    assert not keeping.done()
    await clock.advance(2)
    with pytest.raises(LeadershipLost):
        await keeping
    await alone.server.open()


async def test_an_answer_that_comes_after_the_lease_has_run_out_comes_too_late(
    alone: Install, cluster: Cluster
) -> None:
    clock = ManualClock()
    holder = Leadership(cluster, Site(INSTALL, INSTALL, NAMESPACE, ""), "a", clock, lasts_s=1.5, renew_s=1.0)
    await holder.acquire()
    keeping = asyncio.create_task(holder.keep())
    await clock.wait_for_sleepers()
    hangs = asyncio.Event()
    alone.api.hold = hangs  # the API server accepts calls, and answers none
    await clock.advance(1.0)
    await clock.wait_for_sleepers()  # given up after what was left: half a second
    assert holder.held
    await clock.advance(2.0)
    with pytest.raises(LeadershipLost):
        await keeping
    hangs.set()


async def test_an_operator_whose_lease_is_taken_ends_and_the_other_takes_over_from_one_that_is_killed(
    install: Install,
) -> None:
    install.bring(replicas=3)
    first = install.start_operator(pod="first")
    first.may_fail = True
    await install.until(lambda: install.whole(3))
    second = install.start_operator(pod="second")
    install.store.merge("leases", LEASE, {"spec": {"holderIdentity": "third", "renewTime": "now"}})
    async with asyncio.timeout(30):
        await first.ended.wait()
    assert any(isinstance(error, LeadershipLost) for error in leaves(first.service.lifecycle.failure))
    await install.until(lambda: lease(install)["holderIdentity"] == "second")
    assert not second.ended.is_set()


def leaves(error: BaseException | None) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [] if error is None else [error]


async def test_work_has_ended_when_the_lease_is_given_back(install: Install) -> None:
    install.bring(replicas=3)
    operator = install.start_operator()
    await install.until(lambda: install.whole(3))
    after: list[str] = []

    def watch(verb: str, resource: str) -> int:
        if lease(install)["holderIdentity"] == "":
            after.append(f"{verb} {resource}")
        return 0

    install.api.refuse = watch
    install.store.merge("nodepools", INSTALL, {"spec": {"replicas": 6}})
    await install.until(lambda: len(install.store.names("servicenodes")) > 3)
    await install.stop_operator(operator)
    assert lease(install)["holderIdentity"] == ""
    assert after == []
