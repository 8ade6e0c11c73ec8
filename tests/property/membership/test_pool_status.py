"""Whatever is observed: statuses that every API server takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from operators.membership.domain.pool.conditions import NODE_REASONS, POOL_REASONS, Reasons
from operators.membership.domain.pool.node_status import node_status
from operators.membership.domain.pool.observed import Observed
from operators.membership.domain.pool.pool_status import pool_status
from operators.membership.domain.pool.reconcile import reconcile
from tests.crds.definitions import definitions
from tests.crds.validation import complaints_of
from tests.property.membership.pool_observations import observations

NOW = "2027-01-15T08:00:00Z"
TEXTS = st.sampled_from(("", "the API server refuses it", "y" * 5000))


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def check(kind: str, reasons: Reasons, status: dict[str, Any]) -> None:
    schema = definitions()[kind].schema["properties"]["status"]
    stored = {name: value for name, value in status.items() if value is not None}  # a merge patch takes the rest away
    assert complaints_of(schema, stored) == []
    assert set(status) <= set(schema["properties"]), "what the schema does not know is dropped and written for ever"
    assert "" not in list(texts(status)), "old API servers take an empty text for null"
    assert [condition["type"] for condition in status["conditions"]] == list(reasons)
    for condition in status["conditions"]:
        holds = reasons[condition["type"]][condition["reason"]]
        assert condition["status"] == {True: "True", False: "False", None: "Unknown"}[holds]


@settings(deadline=None)
@given(observed=observations(), refusal=TEXTS, problem=TEXTS)
def test_a_pools_status_is_what_the_schema_wants(observed: Observed, refusal: str, problem: str) -> None:
    plan = reconcile(observed)
    problems = {"p-0": problem} if problem else {}
    status = pool_status(
        observed, plan, refusal=refusal, problems=problems, selector="naisho.dev/pool=p", before={}, now=NOW
    )
    check("NodePool", POOL_REASONS, status)
    later = pool_status(
        observed,
        plan,
        refusal=refusal,
        problems=problems,
        selector="naisho.dev/pool=p",
        before=status,
        now="2027-01-15T08:00:20Z",
    )
    assert later == status, "what did not change is not written again"


@settings(deadline=None)
@given(observed=observations(), refusal=TEXTS, problem=TEXTS, informed=st.booleans())
def test_a_nodes_status_is_what_the_schema_wants(
    observed: Observed,
    refusal: str,
    problem: str,
    informed: bool,  # noqa: FBT001 - hypothesis gives it by name
) -> None:
    plan = reconcile(observed)
    for name, node in observed.nodes.items():
        status = node_status(
            node,
            plan.nodes.get(name),
            problem=problem,
            refusal=refusal,
            epoch=3,
            before={},
            generation=1,
            now=NOW,
            informed=informed,
        )
        check("ServiceNode", NODE_REASONS, status)
