"""The operator's own checks of resources: the contract of ``tests/crds/rules.yaml``, and which spec is gone by."""

from __future__ import annotations

import json
from typing import Any

import pytest

from operators.membership.domain.pool.acceptance import ACCEPTED, accepted
from operators.membership.domain.pool.reserved import RESERVED, is_reserved
from operators.membership.domain.pool.rules import broken_rules
from operators.membership.domain.pool.spec import read_pool
from tests.crds.contract import Case, cases, stated
from tests.crds.defaulting import completed
from tests.crds.definitions import definitions

STATED = stated()
OPERATORS = {name for name, rule in STATED.items() if rule.operator}
LEAVES_SETTINGS = "settings-leave-what-is-the-operators"


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_contract_is_kept(case: Case) -> None:
    definition = definitions()[case.kind]
    whole = None if case.old is None else completed(definition, case.old), completed(definition, case.new)
    for old, new in ((case.old, case.new), whole):
        broken = broken_rules(case.kind, old, new)
        assert {rule for rule, _ in broken} == case.broken & OPERATORS
        assert len(broken) == len({rule for rule, _ in broken})
        for rule, message in broken:
            assert message == STATED[rule].message


def test_every_rule_of_the_operators_is_checked_in_some_case() -> None:
    seen = {rule for case in cases() for rule, _ in broken_rules(case.kind, case.old, case.new)}
    assert seen == OPERATORS


def test_reserved_settings_are_those_of_the_contract() -> None:
    assert {role: list(names) for role, names in RESERVED.items()} == STATED[LEAVES_SETTINGS].reserved


@pytest.mark.parametrize(
    ("role", "setting", "reserved"),
    [
        ("swarm", "about.https", True),
        ("swarm", "ABOUT", True),
        ("swarm", "aboutness", False),
        ("onion", "about.https", False),
        ("onion", "https", True),
        ("onion", "http.connections", False),
        ("swarm", "data", True),
        ("other", "data", False),
    ],
)
def test_what_is_reserved(role: str, setting: str, reserved: bool) -> None:  # noqa: FBT001 - a row of a table
    assert is_reserved(role, setting) is reserved


def pool(text: str | None = None, **spec: Any) -> dict[str, Any]:
    annotations = {} if text is None else {"annotations": {ACCEPTED: text}}
    return {"metadata": {"name": "p", "uid": "u", "generation": 7, **annotations}, "spec": spec}


def test_a_spec_that_keeps_the_rules_is_gone_by_and_remembered() -> None:
    wish = pool(replicas=15)
    answer = accepted(wish)
    assert (answer.body, answer.problems) == (wish, ())
    assert answer.annotation is not None
    assert json.loads(answer.annotation) == {"replicas": 15}
    again = accepted(pool(answer.annotation, replicas=15))
    assert (again.problems, again.annotation) == ((), None), "nothing is written twice"


def test_an_unsafe_change_is_not_followed_and_taking_it_back_clears_it() -> None:
    text = accepted(pool(replicas=15, storage={"size": "10Gi"})).annotation
    unsafe = accepted(pool(text, replicas=2, storage={"size": "5Gi"}, image="other:1"))
    assert unsafe.body["spec"] == {"replicas": 15, "storage": {"size": "10Gi"}}
    assert unsafe.body["metadata"]["generation"] == 7
    assert unsafe.problems == (STATED["enough-replicas"].message, STATED["pool-storage-grows"].message)
    assert unsafe.annotation is None, "what was accepted stays remembered"
    back = accepted(pool(text, replicas=15, storage={"size": "10Gi"}))
    assert (back.problems, back.annotation) == ((), None)
    assert back.body["spec"]["replicas"] == 15


def test_a_safe_change_is_followed_and_remembered() -> None:
    text = accepted(pool(storage={"size": "10Gi"})).annotation
    larger = accepted(pool(text, storage={"size": "20Gi"}))
    assert larger.body["spec"] == {"storage": {"size": "20Gi"}}
    assert larger.annotation == '{"storage": {"size": "20Gi"}}'
    assert accepted(pool(larger.annotation, storage={"size": "10Gi"})).problems


def test_of_a_first_spec_that_breaks_a_rule_nothing_is_made() -> None:
    answer = accepted(pool(replicas=2))
    assert answer.problems == (STATED["enough-replicas"].message,)
    assert answer.annotation is None
    assert read_pool(answer.body).paused
    assert accepted(pool(replicas=2, allowUnsafe=True)).problems == ()


def test_a_pause_is_obeyed_whatever_else_the_spec_says() -> None:
    text = accepted(pool(replicas=15)).annotation
    answer = accepted(pool(text, replicas=1, paused=True))
    assert answer.problems
    assert answer.body["spec"] == {"replicas": 15, "paused": True}


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null"])
def test_a_damaged_memory_counts_as_none(text: str) -> None:
    answer = accepted(pool(text, replicas=12))
    assert (answer.problems, answer.annotation) == ((), '{"replicas": 12}')
    assert read_pool(accepted(pool(text, replicas=1)).body).paused


def test_the_pool_that_was_given_is_left_as_it_is() -> None:
    wish = pool('{"replicas": 15}', replicas=1)
    before = json.dumps(wish)
    accepted(wish)
    assert json.dumps(wish) == before
