"""Following a node that leaves: what counts as left, refused, too late."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from operators.cluster.drain import Patience, Wish, ask_to_leave, wait_until_left
from operators.cluster.errors import DrainRefused, DrainTimedOut, NotFound, PoolPaused, UnknownNode
from operators.cluster.kube import Cluster
from operators.cluster.names import NODE_POOL, SERVICE_NODE, Kind, Object, name_of
from tests.unit.cluster import network_objects as made

AT_ONCE = Patience(seconds=5.0, look_every_s=0.0, reconsidered_within_s=5.0)
NAME = f"{made.FULL}-0"


class Scripted:
    """A cluster in which one node goes through states, one for each look; the last one stays. None: it is gone."""

    namespace = made.NAMESPACE

    def __init__(self, *states: Object | None, pool: Object | None = None) -> None:
        self.annotated: dict[str, str] = {}
        self._states = states
        self._looks: Iterator[Object | None] = iter(states)
        self._pool = pool

    async def get(self, kind: Kind, name: str) -> Object:
        found = self._pool if kind == NODE_POOL else next(self._looks, self._states[-1])
        if found is None or name != name_of(found):
            raise NotFound
        return found

    async def list(self, kind: Kind) -> list[Object]:
        assert kind == SERVICE_NODE
        return [made.node(2), made.node(1)]

    async def annotate(self, kind: Kind, name: str, annotations: Mapping[str, str]) -> Object:
        assert (kind, name) == (SERVICE_NODE, NAME)
        self.annotated |= annotations
        return {}


def as_cluster(scripted: Scripted) -> Cluster:
    return cast("Cluster", scripted)


def told(reason: str, message: str = "", phase: str = "Draining") -> Object:
    return made.with_condition(made.node(0, phase), made.condition("Drained", "False", reason, message))


async def follow(*states: Object | None, before: Object | None = None, patience: Patience = AT_ONCE) -> list[Any]:
    said: list[Any] = []
    scripted = as_cluster(Scripted(*states))
    await wait_until_left(scripted, before or made.node(0), patience, said.append)
    return said


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (Wish(NAME), {"naisho.dev/drain": "true"}),
        (Wish(NAME, skip=True), {"naisho.dev/drain": "true", "naisho.dev/skip-drain": "true"}),
        (Wish(NAME, replace=False), {"naisho.dev/drain": "true", "naisho.dev/no-replacement": "true"}),
    ],
)
async def test_a_wish_is_written_as_the_operator_reads_it(wish: Wish, expected: dict[str, str]) -> None:
    scripted = Scripted(made.node(0))
    await ask_to_leave(as_cluster(scripted), wish)
    assert scripted.annotated == expected


async def test_a_node_that_has_left_is_not_asked_again() -> None:
    scripted = Scripted(made.node(0, "Drained"))
    await ask_to_leave(as_cluster(scripted), Wish(NAME))
    assert scripted.annotated == {}


async def test_an_unknown_node_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownNode, match=f"{made.FULL}-1, {made.FULL}-2"):
        await ask_to_leave(as_cluster(Scripted(None)), Wish("nobody"))


async def test_nothing_is_asked_of_an_operator_that_only_watches() -> None:
    scripted = Scripted(made.node(0), pool={**made.pool(), "spec": {"paused": True}})
    with pytest.raises(PoolPaused):
        await ask_to_leave(as_cluster(scripted), Wish(NAME))
    assert scripted.annotated == {}


async def test_each_new_state_is_told_once_until_the_node_has_left() -> None:
    waiting = told("WaitingForSwarm", "2 members are behind")
    said = await follow(made.node(0), waiting, waiting, told("HandedOver", phase="Drained"))
    assert [(state["state"], state["reason"], state["left"]) for state in said] == [
        ("Active", "NotAsked", False),
        ("Draining", "WaitingForSwarm", False),
        ("Drained", "HandedOver", True),
    ]


async def test_a_node_that_is_gone_or_was_made_anew_has_left() -> None:
    assert (await follow(made.node(0), None))[-1]["left"]
    anew = made.node(0)
    anew["metadata"]["uid"] = "another"
    assert (await follow(made.node(0), anew))[-1]["left"]


async def test_a_refusal_is_told_in_the_operators_words() -> None:
    with pytest.raises(DrainRefused, match="only 3 members") as raised:
        await follow(made.node(0), told("Refused", "only 3 members", phase="Active"))
    assert f"annotate -n {made.NAMESPACE} servicenode {NAME} naisho.dev/drain-" in raised.value.explain().next


async def test_an_old_refusal_is_given_time_to_be_taken_back() -> None:
    old = told("Refused", "only 3 members", phase="Active")
    said = await follow(old, old, told("Skipped", phase="Drained"), before=old)
    assert said[-1]["left"]
    with pytest.raises(DrainRefused):
        await follow(old, before=old, patience=AT_ONCE._replace(reconsidered_within_s=0.01))
    with pytest.raises(DrainRefused, match="another reason"):
        await follow(old, told("Refused", "another reason", phase="Active"), before=old)


async def test_who_waits_too_long_learns_what_the_node_waits_for() -> None:
    with pytest.raises(DrainTimedOut, match="Draining: 2 members are behind"):
        await follow(told("WaitingForSwarm", "2 members are behind"), patience=AT_ONCE._replace(seconds=0.01))
