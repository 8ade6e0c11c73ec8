"""What is worth a write, and what is worth an event."""

from __future__ import annotations

from typing import Any

import pytest

from operators.membership.domain.pool.conditions import NODE_REASONS, POOL_REASONS
from operators.membership.kube.cluster import EVENTS, NODE_POOLS, Kind
from operators.membership.kube.errors import ClusterAway, Forbidden, KubeError
from operators.membership.kube.telling import Teller, Told, differs, event, events_of, timestamp

NOW_MS = 1_800_000_000_123
POOL = {
    "kind": "NodePool",
    "metadata": {"name": "talk", "namespace": "quiet", "uid": "u-1", "resourceVersion": "7"},
}


def condition(kind: str, reason: str, *, holds: bool, message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": str(holds), "reason": reason, "message": message}


def status(*conditions: dict[str, Any], phase: str = "Active") -> dict[str, Any]:
    return {"phase": phase, "conditions": list(conditions)}


class FakeCluster:
    """Takes what is written; ``fails`` is raised by calls on a kind."""

    def __init__(self, fails: dict[Kind, KubeError] | None = None) -> None:
        self.fails = fails or {}
        self.gone = False
        self.statuses: list[Any] = []
        self.events: list[Any] = []

    async def merge(self, kind: Kind, name: str, patch: Any, *, subresource: str = "") -> Any:
        assert (name, subresource) == ("talk", "status")
        if kind in self.fails:
            raise self.fails[kind]
        self.statuses.append(patch)
        return None if self.gone else patch

    async def create(self, kind: Kind, manifest: Any) -> Any:
        if kind in self.fails:
            raise self.fails[kind]
        self.events.append(manifest)
        return manifest


async def tell(cluster: FakeCluster, before: dict[str, Any], after: dict[str, Any]) -> int:
    return await Teller(cluster).tell(NODE_POOLS, {**POOL, "status": before}, after, now_ms=NOW_MS)  # type: ignore[arg-type]  # plays the part


@pytest.mark.parametrize(
    ("there", "wanted", "expected"),
    [
        ({}, {}, False),
        ({"a": 1}, {"a": 1}, False),
        ({"a": 1, "others": 2}, {"a": 1}, False),
        ({}, {"a": None}, False),
        ({"a": 1}, {"a": None}, True),
        ({"a": 1}, {"a": 2}, True),
        ({}, {"a": 0}, True),
    ],
)
def test_only_what_is_not_said_yet_differs(there: dict[str, Any], wanted: dict[str, Any], *, expected: bool) -> None:
    assert differs(there, wanted) is expected


async def test_nothing_is_written_twice() -> None:
    cluster = FakeCluster()
    said = status(condition("Ready", "AllActive", holds=True))
    assert await tell(cluster, {}, said) == 1
    assert await tell(cluster, said, said) == 0
    assert len(cluster.statuses) == 1
    assert cluster.events == [], "how something begins is no news"


async def test_a_change_is_told_by_its_stable_reason() -> None:
    cluster = FakeCluster()
    before = status(condition("Degraded", "Whole", holds=False))
    after = status(condition("Degraded", "NodesUnreachable", holds=True, message="talk-3"))
    assert await tell(cluster, before, after) == 2
    (told,) = cluster.events
    assert (told["type"], told["reason"], told["message"]) == ("Warning", "NodesUnreachable", "talk-3")
    about = told["involvedObject"]
    assert (about["kind"], about["name"], about["uid"]) == ("NodePool", "talk", "u-1")
    assert told["lastTimestamp"] == timestamp(NOW_MS) == "2027-01-15T08:00:00Z"


@pytest.mark.parametrize(
    ("kind", "before", "after", "warns"),
    [
        ("Ready", ("AllActive", True), ("NotAllActive", False), True),
        ("Ready", ("NotAllActive", False), ("AllActive", True), False),
        ("Degraded", ("NodesUnreachable", True), ("Whole", False), False),
        ("Progressing", ("Stable", False), ("DrainingNodes", True), False),
        ("Drained", ("NotAsked", False), ("WaitingForSwarm", False), False),
        ("Drained", ("NotAsked", False), ("Refused", False), True),
        ("Joined", ("Listed", True), ("Unreachable", False), True),
        ("DrainRefused", ("NotRefused", False), ("TooFewNodes", True), True),
    ],
)
def test_bad_news_are_warnings(kind: str, before: tuple[str, bool], after: tuple[str, bool], *, warns: bool) -> None:
    (told,) = events_of(
        status(condition(kind, before[0], holds=before[1])), status(condition(kind, after[0], holds=after[1]))
    )
    assert told == Told(warns, after[0], kind)
    assert after[0] in {*POOL_REASONS.get(kind, ()), *NODE_REASONS.get(kind, ())}


def test_another_message_is_no_event() -> None:
    before = status(condition("Progressing", "CreatingNodes", holds=True, message="talk-1, talk-2"))
    after = status(condition("Progressing", "CreatingNodes", holds=True, message="talk-2"))
    assert differs(before, after)
    assert events_of(before, after) == []


def test_a_phase_is_told_once_though_a_condition_says_the_same() -> None:
    before = status(condition("Joined", "Listed", holds=True))
    after = status(condition("Joined", "Unreachable", holds=False), phase="Unreachable")
    assert [told.reason for told in events_of(before, after)] == ["Unreachable"]


def test_a_long_message_is_cut_to_what_the_api_takes() -> None:
    told = event(POOL, Told(warning=False, reason="Stable", message="x" * 5000), now_ms=NOW_MS)
    assert len(told["message"]) == 1024


async def test_nothing_is_told_of_what_is_gone() -> None:
    cluster = FakeCluster()
    cluster.gone = True
    before, after = (status(condition("Ready", reason, holds=False)) for reason in ("NotAllActive", "NoDirectory"))
    assert await tell(cluster, before, after) == 0
    assert cluster.events == []


async def test_an_api_server_that_is_away_ends_the_look_and_a_refusal_does_not() -> None:
    after = status(condition("Ready", "AllActive", holds=True))
    with pytest.raises(ClusterAway):
        await tell(FakeCluster({NODE_POOLS: ClusterAway("away")}), {}, after)
    assert await tell(FakeCluster({NODE_POOLS: Forbidden("no")}), {}, after) == 0
    before = status(condition("Ready", "NotAllActive", holds=False))
    cluster = FakeCluster({EVENTS: Forbidden("no")})
    assert await tell(cluster, before, after) == 1
    assert len(cluster.statuses) == 1, "an event that may not be told does not undo what was written"
