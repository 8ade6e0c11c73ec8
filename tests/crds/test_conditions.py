"""Conditions: the schemas, the printer columns and ``docs/operating/conditions.md`` speak of the same ones."""

from __future__ import annotations

import re

import pytest

from tests.crds.conditions import DOCUMENT, Reason, reasons
from tests.crds.definitions import Definition, definitions

DEFINITIONS = definitions()
TABLE = reasons()
each_definition = pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=lambda definition: definition.kind)


def enumerated(definition: Definition) -> dict[str, list[str]]:
    """Return the reasons of each type, as the description of the schema's field lists them."""
    (text,) = (field.schema["description"] for field in definition.fields() if field.path == ".status.conditions")
    return {kind: listed.split(", ") for kind, listed in re.findall(r"(\w+): ((?:\w+, )*\w+)\.", text)}


def tabulated(kind: str, rows: list[Reason]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.kind == kind:
            found.setdefault(row.type, []).append(row.reason)
    return found


@each_definition
def test_the_schema_lists_the_reasons_of_the_table(definition: Definition) -> None:
    assert enumerated(definition) == tabulated(definition.kind, TABLE)


def test_no_row_of_the_tables_is_overlooked() -> None:
    lines = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(TABLE) == len([line for line in lines if not line.startswith(("| type ", "| --- "))])
    assert {row.kind for row in TABLE} == set(DEFINITIONS)


def test_a_reason_goes_with_one_status() -> None:
    assert len({(row.kind, row.type, row.reason) for row in TABLE}) == len(TABLE)


def test_every_type_has_a_good_state_and_a_reason_for_each_other() -> None:
    for kind in DEFINITIONS:
        for condition in tabulated(kind, TABLE):
            statuses = {row.status for row in TABLE if (row.kind, row.type) == (kind, condition)}
            assert {"True", "False"} <= statuses, condition


@each_definition
def test_types_and_reasons_fit_the_schema(definition: Definition) -> None:
    schema = {field.path: field.schema for field in definition.fields()}
    for row in TABLE:
        for part, text in (("type", row.type), ("reason", row.reason)):
            allowed = schema[f".status.conditions[].{part}"]
            assert re.search(allowed["pattern"], text)
            assert len(text) <= allowed["maxLength"]
        assert row.status in schema[".status.conditions[].status"]["enum"]
    assert len(tabulated(definition.kind, TABLE)) <= schema[".status.conditions"]["maxItems"]


def test_a_row_that_is_missing_or_turned_round_is_noticed() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if "| NodesBehind |" in line)
    fewer = reasons(text.replace(f"{line}\n", ""))
    assert tabulated("NodePool", fewer) != enumerated(DEFINITIONS["NodePool"])
    moved = reasons(text.replace("| MembershipAgreed | False | NodesBehind", "| Degraded | False | NodesBehind"))
    assert tabulated("NodePool", moved) != enumerated(DEFINITIONS["NodePool"])
