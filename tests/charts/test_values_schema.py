"""The schema of the values knows every key that there is, and refuses every other one, at every level."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.charts.rendering import CHART, RenderFailed, read, render, situations, values_of

_SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
#: What a chart around this one hands to all of its parts.
_NOT_OURS = ("global",)


def test_the_values_of_every_situation_fit(situation: str) -> None:
    jsonschema.Draft7Validator(_SCHEMA).validate(values_of(situation))


def test_every_object_of_the_schema_is_closed() -> None:
    for path, schema in _objects(_SCHEMA):
        if path[-1:] == _NOT_OURS:
            continue
        rest = schema.get("additionalProperties", True)
        assert rest is False or (rest == {"type": "string"} and "properties" not in schema), path


def test_the_schema_names_what_the_values_have_and_no_more() -> None:
    values = read(CHART / "values.yaml")
    assert set(_SCHEMA["properties"]) - set(_NOT_OURS) == set(values)
    for path, schema in _objects(_SCHEMA):
        here = _at(values, path)
        if "properties" in schema and isinstance(here, dict) and here:
            optional = {"ephemeral-storage", "cpu"} | set(_NOT_OURS)
            assert here.keys() <= schema["properties"].keys() <= here.keys() | optional, path


def test_an_unknown_key_is_refused_wherever_it_is_planted() -> None:
    validator, values = jsonschema.Draft7Validator(_SCHEMA), values_of("everything-pinned")
    planted = 0
    for path in _closed_paths(values):
        changed = copy.deepcopy(values)
        _at(changed, path)["surprise"] = True
        assert not validator.is_valid(changed), path
        planted += 1
    assert planted > 40


def test_helm_itself_refuses(helm: Path) -> None:
    with pytest.raises(RenderFailed) as refused:
        render(helm, "--set", "pool.exposure.surprise=1", "--set", "surprise=1")
    assert "'/pool/exposure': additional properties 'surprise' not allowed" in str(refused.value)
    assert "'': additional properties 'surprise' not allowed" in str(refused.value), "one by one is tedious"


@pytest.mark.parametrize(
    "given",
    [
        {"podLabels": {"app.kubernetes.io/component": "other"}},  # selectors would no longer find the pod
        {"nats": {"storage": {"size": 21474836480}}},  # helm turns it into 2.147483648e+10
        {"nats": {"replicas": 2}},
        {"pool": {"exposure": {"type": "Ingress"}}},
        {"pool": {"settings": {"onion": {"rate.burst": 900}}}},
        {"streams": {"mail": "8 GB"}},
        {"fullnameOverride": "Capital"},
    ],
)
def test_values_that_would_do_harm_are_refused(given: dict[str, Any]) -> None:
    assert not jsonschema.Draft7Validator(_SCHEMA).is_valid(given)


def test_every_switch_is_tried_in_some_situation() -> None:
    """A value that no situation changes from what is usual is rendered by no test."""
    usual = read(CHART / "values.yaml")
    untried = {path for path, value in _switches(usual) if all(_at(values_of(s), path) == value for s in situations())}
    assert untried == set()


def _objects(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield every schema of an object, with the keys that lead to it; ``*`` for an item of a list."""
    if "$ref" in schema:
        schema = _SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    if schema.get("type") == "object":
        yield path, schema
        for key, inner in schema.get("properties", {}).items():
            yield from _objects(inner, (*path, key))
    elif schema.get("type") == "array":
        yield from _objects(schema["items"], (*path, "*"))


def _closed_paths(values: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        path
        for path, schema in _objects(_SCHEMA)
        if schema.get("additionalProperties") is False and isinstance(_at(values, path), dict)
    ]


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if key == "*":
            values = values[0] if values else None
        else:
            values = values.get(key) if isinstance(values, dict) else None
        if values is None:
            return None
    return values


def _switches(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], bool]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _switches(value, (*path, key))
        elif isinstance(value, bool):
            yield (*path, key), value
