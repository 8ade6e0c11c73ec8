"""The CEL rules accept and refuse what ``rules.yaml`` says: evaluated in Python (cel-python), not by an API server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any

import pytest

from services.onion.settings import OnionSettings
from services.swarm.settings import SwarmSettings
from tests.crds import cel
from tests.crds.cel import Rule, Verdict, judge, rules_of
from tests.crds.contract import Case, Stated, cases, stated
from tests.crds.defaulting import completed
from tests.crds.definitions import definitions
from tests.crds.validation import complaints

CASES = cases()
STATED = stated()
DEFINITIONS = definitions()
SETTINGS = {"onion": OnionSettings, "swarm": SwarmSettings}
ANNOTATIONS = ("naisho.dev/drain", "naisho.dev/skip-drain", "naisho.dev/no-replacement")


def name_of(rule: Rule, kind: str) -> str:
    (found,) = (
        each.name for each in STATED.values() if (each.kind, each.at, each.message) == (kind, rule.path, rule.message)
    )
    return found


def whole(case: Case) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    definition = DEFINITIONS[case.kind]
    return None if case.old is None else completed(definition, case.old), completed(definition, case.new)


def verdict(case: Case) -> Verdict:
    return judge(DEFINITIONS[case.kind], *whole(case))


def environment_name(setting: str) -> str:
    return setting.replace(".", "_").upper()


def is_reserved(setting: str, container: str) -> bool:
    reserved = STATED["settings-leave-what-is-the-operators"].reserved[container]
    return any(f"{environment_name(setting)}_".startswith(f"{name}_") for name in reserved)


def broken_beside_cel(case: Case) -> set[str]:
    """The rules that no API server checks, as plainly as they can be said."""
    broken = set()
    settings = whole(case)[1]["spec"].get("settings", {})
    if any(is_reserved(name, container) for container, names in settings.items() for name in names):
        broken.add("settings-leave-what-is-the-operators")
    annotations = case.new["metadata"].get("annotations", {})
    if any(annotations.get(name, "true") not in {"true", "false"} for name in ANNOTATIONS):
        broken.add("annotations-are-true-or-false")
    return broken


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_cel_evaluated_in_python_not_by_an_api_server_breaks_the_rules_of_the_case(case: Case) -> None:
    of_cel = {name_of(rule, case.kind) for rule in verdict(case).broken}
    assert of_cel | broken_beside_cel(case) == case.broken


@pytest.mark.parametrize("case", [case for case in CASES if case.shows], ids=lambda case: case.name)
def test_an_example_of_a_rule_was_asked_of_it(case: Case) -> None:
    asked = {name_of(rule, case.kind) for rule in verdict(case).asked}
    assert not case.broken
    assert {name for name in case.shows if STATED[name].cel} <= asked
    assert all(STATED[name].kind == case.kind for name in case.shows)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_breaks_no_more_than_rules(case: Case) -> None:
    """Schema validation passes, so that it is the rule that refuses."""
    for resource in whole(case):
        if resource is not None:
            assert complaints(DEFINITIONS[case.kind], resource) == []


def test_the_definitions_hold_the_rules_that_are_stated_and_no_others() -> None:
    held = {(kind, rule.path, rule.message) for kind, each in DEFINITIONS.items() for rule in rules_of(each)}
    count = sum(len(rules_of(each)) for each in DEFINITIONS.values())
    said = {(each.kind, each.at, each.message) for each in STATED.values() if each.cel}
    assert held == said
    assert count == len(said), "two rules of one value give the same answer"


@pytest.mark.parametrize("rule", STATED.values(), ids=lambda rule: rule.name)
def test_every_rule_has_an_object_that_it_accepts_and_one_that_it_refuses(rule: Stated) -> None:
    assert any(rule.name in case.shows for case in CASES)
    assert any(case.broken == {rule.name} for case in CASES) or rule.name in {"pool-stays", "ordinal-stays"}
    assert any(rule.name in case.broken for case in CASES)


def test_cases_name_rules_that_exist_and_are_told_apart_by_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert {name for case in CASES for name in case.broken | case.shows} <= set(STATED)


def test_what_no_api_server_checks_is_the_operators_task() -> None:
    assert all(rule.operator for rule in STATED.values() if not rule.cel)


@pytest.mark.parametrize("container", SETTINGS)
def test_reserved_settings_are_settings_of_the_container(container: str) -> None:
    known = {field.name.upper() for field in fields_of(SETTINGS[container])}
    reserved = set(STATED["settings-leave-what-is-the-operators"].reserved[container])
    assert reserved <= known
    # A reserved name with an underscore takes nothing with it that is free.
    free = known - reserved
    assert not [name for name in free if is_reserved(name, container)]


def mutants(text: str) -> Iterator[str]:
    """Yield a rule with one operator, one number or one word turned into another."""
    for found, others in (
        (r"\|\|", ("&&",)),
        (r"&&", ("||",)),
        (r"==", ("!=",)),
        (r"!=", ("==",)),
        (r">=", (">", "<=")),
        (r"!(?=[a-z(])", ("",)),
        (r"\b3\b(?!8)", ("2", "4")),
        (r"\{0,38\}", ("{0,37}", "{0,39}")),
        (r"'64Mi'", ("'65Mi'", "'1Mi'")),
        (r"'Drained'", ("'Draining'",)),
        (r"'Gone'", ("'Pending'",)),
        (r"\bself\b", ("oldSelf",)),
        (r"\boldSelf\b", ("self",)),
    ):
        for match in re.finditer(found, text):
            for other in others:
                yield text[: match.start()] + other + text[match.end() :]


def notices(case: Case, rule: Rule, mutant: str) -> bool:
    """Tell whether a case fails if a rule is written otherwise; one that cannot be evaluated fails, too."""
    old, new = whole(case)
    verdict = judge(DEFINITIONS[case.kind], old, new)
    other = replace(rule, text=mutant)
    if old is None and other.is_transition:
        return rule in verdict.asked  # it would no longer be asked of a creation
    value, before = at(new, rule.path), at(old, rule.path)
    if value is None:
        return False
    try:
        return cel.holds(other, value, before) != (rule not in verdict.broken)
    except cel.CannotBeEvaluated:
        return True


def at(resource: Any, path: str) -> Any:
    for name in path.split(".")[1:]:
        resource = None if resource is None else resource.get(name)
    return resource


#: Without its guard the rest of such an expression is an error, which refuses as well.
UNGUARDED = "(has(oldSelf.status) && has(self.status.phase)"


@pytest.mark.parametrize(
    ("kind", "rule"),
    [(kind, rule) for kind, each in DEFINITIONS.items() for rule in rules_of(each)],
    ids=lambda value: value.message[:40] if isinstance(value, Rule) else value,
)
def test_a_rule_written_otherwise_is_noticed_by_a_case(kind: str, rule: Rule) -> None:
    """Plants one defect after the other in the text of each rule; evaluated in Python, not by an API server."""
    of_kind = [case for case in CASES if case.kind == kind]
    written_otherwise = [mutant for mutant in mutants(rule.text) if UNGUARDED not in mutant]
    assert written_otherwise
    assert [text for text in written_otherwise if not any(notices(case, rule, text) for case in of_kind)] == []
