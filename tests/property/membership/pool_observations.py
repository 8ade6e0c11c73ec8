"""Any observation of a pool, sensible or not: what statuses and plans must be able to bear."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from operators.membership.domain.life import Life
from operators.membership.domain.pool.observed import (
    Observed,
    SeenDirectory,
    SeenMember,
    SeenNode,
    SeenPod,
    SeenResource,
    Wish,
)
from operators.membership.domain.pool.register import Entry, Register
from operators.membership.domain.pool.spec import PoolSpec

SWARMS: Final = ("0000000000000000", "4000000000000000", "0e00000000000000")
NOW_MS: Final = 1_800_000_000_000
_TEXTS: Final = st.sampled_from(("", "moves", "x" * 3000))
_NO_SWARM_OR_ONE: Final = st.sampled_from(("", *SWARMS))

resources: Final = st.builds(
    SeenResource,
    uid=st.just("u"),
    wish=st.sampled_from(Wish),
    drain=st.booleans(),
    skip_drain=st.booleans(),
    drain_first=st.booleans(),
    no_replacement=st.booleans(),
)
pods: Final = st.builds(
    SeenPod,
    ready=st.booleans(),
    started=st.booleans(),
    behind=st.booleans(),
    broken=st.booleans(),
    stuck=st.booleans(),
    unscheduled=st.booleans(),
    current=st.booleans(),
    deleting=st.booleans(),
    host_ip=st.sampled_from(("", "10.0.0.1")),
    machine=st.sampled_from(("", "m-1", "m-2")),
)
members: Final = st.builds(
    SeenMember,
    life=st.sampled_from(Life),
    swarm=_NO_SWARM_OR_ONE,
    planned=_NO_SWARM_OR_ONE,
    holds=st.booleans(),
    lag=st.none() | st.integers(0, 10**9),
    reason=st.sampled_from(("", "catches up")),
    drained=st.booleans(),
)
directories: Final = st.builds(
    SeenDirectory,
    network_id=st.just("n-3f9c2a"),
    epoch=st.integers(0, 10**6),
    grade=st.just("single-operator"),
    issued_ms=st.just(NOW_MS),
    expires_ms=st.just(NOW_MS + 10**8),
    swarms=st.lists(
        st.tuples(st.sampled_from(SWARMS), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
        max_size=3,
        unique_by=lambda entry: entry[0],
    ).map(tuple),
    waits=st.lists(_TEXTS, max_size=40).map(tuple),
    keys_end_ms=st.none() | st.sampled_from((NOW_MS, NOW_MS + 10**10)),
    cramped=st.lists(_TEXTS, max_size=3).map(tuple),
)
pools: Final = st.builds(
    PoolSpec,
    name=st.just("p"),
    uid=st.just("u"),
    generation=st.integers(0, 5),
    replicas=st.integers(0, 14),
    allow_unsafe=st.booleans(),
    budgets=st.booleans(),
    paused=st.booleans(),
    not_replaced=st.frozensets(st.sampled_from(("p-0", "p-1", "p-9")), max_size=2),
)


@st.composite
def observations(draw: st.DrawFn) -> Observed:
    """Draw an observation; a node may lack anything, and anything may contradict anything."""
    count = draw(st.integers(0, 8))
    register = Register({f"p-{n}": Entry(n, f"{n:02x}" * 32, draw(st.booleans())) for n in range(count)}, count)
    nodes = {
        name: SeenNode(
            name,
            resource=draw(st.none() | resources),
            address=draw(st.sampled_from(("", "10.0.0.1:8443"))),
            placed=draw(st.booleans()),
            current=draw(st.booleans()),
            pod=draw(st.none() | pods),
            volume=draw(st.sampled_from((None, "Bound", "Pending", "Lost"))),
            member=draw(st.none() | members),
        )
        for name in register.entries
        if draw(st.booleans())
    }
    return Observed(
        draw(pools),
        register,
        nodes,
        budgets=draw(st.dictionaries(st.sampled_from(SWARMS), st.frozensets(st.sampled_from(("p-0", "p-1", "p-9"))))),
        directory=draw(st.none() | directories),
        authority=draw(st.booleans()),
        elsewhere=draw(st.frozensets(st.sampled_from(SWARMS), max_size=1)),
        broken=draw(st.sampled_from(((), ("storage only grows",)))),
    )
