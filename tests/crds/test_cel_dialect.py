"""The rules use nothing that Kubernetes 1.29 lacks, name fields that exist, and cost an API server little.

Parsed in Python (cel-python), not by an API server; the costs are an upper estimate.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.crds.cel import Rule, parse, rules_of
from tests.crds.costs import (
    DEFINITION_LIMIT,
    REQUEST,
    RULE_LIMIT,
    UnboundedRule,
    called,
    estimate,
    looked_at,
    schema_at,
)
from tests.crds.definitions import VALIDATIONS, Definition, definitions

DEFINITIONS = definitions()
RULES = [(definition, rule) for definition in DEFINITIONS.values() for rule in rules_of(definition)]
each_rule = pytest.mark.parametrize(
    ("definition", "rule"), RULES, ids=lambda value: value.message[:40] if isinstance(value, Rule) else value.kind
)

#: Functions and macros that the rules may use, and the Kubernetes version that has them first in a release that a
#: definition may rely on; the validation rules themselves are stable since 1.29.
SINCE = {"has": (1, 25), "string": (1, 25), "matches": (1, 25), "quantity": (1, 29), "compareTo": (1, 29)}
STABLE = (1, 29)
#: Younger than that, or behind a feature gate then.
TOO_YOUNG = ("optionalOldSelf", "messageExpression")


def changed(definition: Definition, rule: str, at: str = ".spec") -> tuple[Definition, Rule]:
    """Return a definition with one more rule."""
    document = copy.deepcopy(definition.document)
    other = Definition(document)
    schema = next(field.schema for field in other.fields() if field.path == at)
    schema.setdefault(VALIDATIONS, []).append({"rule": rule, "message": "planted"})
    return other, Rule(at, rule, "planted")


@each_rule
def test_a_rule_calls_only_what_kubernetes_1_29_has(definition: Definition, rule: Rule) -> None:  # noqa: ARG001 - one parametrisation for all
    assert set(called(parse(rule.text))) <= set(SINCE)
    assert all(since <= STABLE for since in SINCE.values())
    assert not [sign for sign in (".?", "[?", "optional.") if sign in rule.text]


@each_rule
def test_a_rule_names_fields_that_exist(definition: Definition, rule: Rule) -> None:
    for chain in looked_at(parse(rule.text)):
        schema_at(definition, rule, chain)


@each_rule
def test_a_rule_costs_little(definition: Definition, rule: Rule) -> None:
    assert 0 < estimate(definition, rule) < RULE_LIMIT / 2


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=lambda definition: definition.kind)
def test_all_rules_together_cost_little(definition: Definition) -> None:
    total = sum(estimate(definition, rule) for rule in rules_of(definition))
    assert total < DEFINITION_LIMIT / 10
    print(definition.kind, total)


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=lambda definition: definition.kind)
def test_rules_are_of_values_that_are_there_once(definition: Definition) -> None:
    """In a list or a map a rule would cost as often as there are items."""
    assert [
        field.path for field in definition.fields() if VALIDATIONS in field.schema and set(field.path) & set("[{")
    ] == []


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=lambda definition: definition.kind)
def test_a_message_is_one_line_and_nothing_young_is_used(definition: Definition) -> None:
    for field in definition.fields():
        for rule in field.schema.get(VALIDATIONS, []):
            assert set(rule) == {"rule", "message"}
            assert "\n" not in rule["rule"]
            assert "\n" not in rule["message"]
            assert 20 < len(rule["message"]) < 256
            assert not set(rule) & set(TOO_YOUNG)


def test_the_estimate_notices_what_has_no_bound() -> None:
    pool = DEFINITIONS["NodePool"]
    bounded, rule = changed(pool, "self.family.matches('^[a-z]{1,32}$')")
    low = estimate(bounded, rule)
    schema = next(field.schema for field in bounded.fields() if field.path == ".spec.family")
    del schema["maxLength"]
    assert estimate(bounded, rule) > REQUEST / 10 > low
    with pytest.raises(UnboundedRule):
        estimate(*changed(pool, "self.scheduling.nodeSelector.all(k, k != '')"))
    with pytest.raises(UnboundedRule):
        estimate(*changed(pool, "self.scheduling.nodeSelector == oldSelf.scheduling.nodeSelector"))
    with pytest.raises(KeyError):
        estimate(*changed(pool, "self.replcas >= 3"))


def test_the_check_of_names_notices_a_wrong_one() -> None:
    definition, rule = changed(DEFINITIONS["NodePool"], "has(self.storage.sise)")
    (chain,) = looked_at(parse(rule.text))
    with pytest.raises(KeyError):
        schema_at(definition, rule, chain)
    assert set(called(parse("self.map(x, x).sum() > 0"))) - set(SINCE)


def test_every_way_of_looking_is_found() -> None:
    found: list[Any] = sorted(
        looked_at(parse("has(self.a.b) && (self.c in ['x'] || quantity(string(oldSelf.d.e)).compareTo(self) > 0)"))
    )
    assert found == [("oldSelf", "d", "e"), ("self",), ("self", "a", "b"), ("self", "c")]
