"""Printer columns and the scale subresource point at fields that exist."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.crds.conditions import reasons
from tests.crds.definitions import Definition, definitions

DEFINITIONS = definitions()
POOL = DEFINITIONS["NodePool"]
CONDITION = re.compile(r'\.status\.conditions\[\?\(@\.type=="(\w+)"\)\]\.(status|reason)')
COLUMNS = [(each, column) for each in DEFINITIONS.values() for column in each.version["additionalPrinterColumns"]]
each_column = pytest.mark.parametrize(
    ("definition", "column"), COLUMNS, ids=[f"{each.kind}-{column['name']}" for each, column in COLUMNS]
)


def type_at(definition: Definition, path: str) -> str | None:
    """Return the type of what a column's path leads to; ``None`` if it leads nowhere."""
    if path == ".metadata.creationTimestamp":
        return "date"
    if condition := CONDITION.fullmatch(path):
        types = {row.type for row in reasons() if row.kind == definition.kind}
        path = f".status.conditions[].{condition[2]}" if condition[1] in types else "nowhere"
    fields = {field.path: field.schema for field in definition.fields()}
    return str(fields[path]["type"]) if path in fields else None


@each_column
def test_a_column_shows_a_field_of_its_type(definition: Definition, column: dict[str, Any]) -> None:
    assert type_at(definition, column["jsonPath"]) == column["type"]
    assert column["description"].endswith(".")
    assert column.get("priority", 0) in {0, 1}


def test_a_wrong_path_is_noticed() -> None:
    assert type_at(POOL, ".spec.replica") is None
    assert type_at(POOL, '.status.conditions[?(@.type=="Redy")].status') is None
    assert type_at(POOL, ".status.epoch") == "integer"


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=lambda definition: definition.kind)
def test_the_first_look_tells_whether_it_is_well_and_why(definition: Definition) -> None:
    columns = definition.version["additionalPrinterColumns"]
    shown = {column["name"]: column["jsonPath"] for column in columns if not column.get("priority")}
    assert shown["Well"] == '.status.conditions[?(@.type=="Ready")].status'
    assert shown["Reason"] == '.status.conditions[?(@.type=="Ready")].reason'
    assert shown["Age"] == ".metadata.creationTimestamp"
    assert len(shown) <= 7, "more does not fit in a line"
    names = [column["name"] for column in columns]
    assert len(set(names)) == len(names)
    assert [column.get("priority", 0) for column in columns] == sorted(column.get("priority", 0) for column in columns)


def test_the_scale_subresource_points_at_numbers_and_a_text() -> None:
    scale = POOL.version["subresources"]["scale"]
    assert {part: type_at(POOL, path) for part, path in scale.items()} == {
        "specReplicasPath": "integer",
        "statusReplicasPath": "integer",
        "labelSelectorPath": "string",
    }
    assert scale["specReplicasPath"].startswith(".spec.")
    assert scale["statusReplicasPath"].startswith(".status.")


def test_both_have_a_status_of_its_own() -> None:
    assert all(each.version["subresources"]["status"] == {} for each in DEFINITIONS.values())
    assert set(DEFINITIONS["ServiceNode"].version["subresources"]) == {"status"}
