"""The schemas are structural, say what every field is, bound it, and leave no hole for what is not declared."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.crds.definitions import FILES, INT_OR_STRING, TEMPLATES, VALIDATIONS, Definition, Field, definitions, literal
from tests.crds.validation import complaints_of

DEFINITIONS = definitions()
each_definition = pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=lambda definition: definition.kind)
# It ships no types.
official = importlib.import_module("kubernetes_validate")

#: What a structural schema may say of a value; no references, no "not", no preserved unknown fields.
ALLOWED = {
    "additionalProperties",
    "anyOf",
    "default",
    "description",
    "enum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
    INT_OR_STRING,
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    VALIDATIONS,
}
#: Kubernetes allows no description of the metadata, and bounds it itself.
KUBERNETES_OWN = (".apiVersion", ".kind", ".metadata")
GUARD = '{{- if semverCompare ">=1.29-0" $.Capabilities.KubeVersion.Version }}'


def faults_of_form(field: Field) -> Iterator[str]:
    """Yield how a field breaks the rules of structural schemas."""
    schema, path = field.schema, field.path
    if unknown := set(schema) - ALLOWED:
        yield f"{path} has {sorted(unknown)}"
    if schema.get(INT_OR_STRING):
        if "type" in schema or schema.get("anyOf") != [{"type": "integer"}, {"type": "string"}]:
            yield f"{path} is an int-or-string of another form"
    elif schema.get("type") not in {"object", "array", "string", "integer", "number", "boolean"}:
        yield f"{path} has no type"
    elif "anyOf" in schema:
        yield f"{path} has alternatives"
    if path == ".metadata" and schema != {"type": "object"}:
        yield "of the metadata something is said"


def faults_of_contents(field: Field) -> Iterator[str]:
    """Yield how an object or a list leaves open what may be in it, or how it is merged."""
    schema, path = field.schema, field.path
    is_open = ("properties" in schema) == isinstance(schema.get("additionalProperties"), dict)
    if schema.get("type") == "object" and is_open and path != ".metadata":
        yield f"{path} is no object with fields, and no map"
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        yield f"{path} does not say what its items are"
    if schema.get("type") == "array" and schema.get("x-kubernetes-list-type") not in {"atomic", "map"}:
        yield f"{path} does not say how its items are merged"
    for key in schema.get("x-kubernetes-list-map-keys", []):
        if key not in schema["items"].get("required", []):
            yield f"{path} merges by {key}, which may be absent"
    if missing := set(schema.get("required", [])) - set(schema.get("properties", {})):
        yield f"{path} requires {sorted(missing)}, which it does not have"


def faults_of_bounds(field: Field) -> Iterator[str]:
    """Yield how a field could be larger than anybody needs."""
    schema, path = field.schema, field.path
    if path in KUBERNETES_OWN:
        return
    is_text = schema.get("type") == "string" or schema.get(INT_OR_STRING)
    if is_text and not {"maxLength", "enum"} & set(schema) and schema.get("format") != "date-time":
        yield f"{path} has no greatest length"
    if schema.get("type") == "array" and "maxItems" not in schema:
        yield f"{path} has no greatest number of items"
    if "additionalProperties" in schema and "maxProperties" not in schema:
        yield f"{path} has no greatest number of entries"
    if schema.get("type") == "integer" and "format" not in schema:
        yield f"{path} does not say how many bits it has"
    is_wish = path.startswith(".spec") and not path.endswith(".tolerationSeconds")
    if is_wish and schema.get("type") in {"integer", "number"} and not {"minimum", "maximum"} <= set(schema):
        yield f"{path} has no bounds"
    # An API server turns the bound of a whole number into a whole number: 0 would be let through by 0.001.
    if any(not isinstance(schema.get(bound, 0), int) for bound in ("minimum", "maximum")):
        yield f"{path} has a broken bound"


def faults_of_descriptions(field: Field) -> Iterator[str]:
    """Yield where a reader of ``kubectl explain`` learns nothing."""
    text = str(field.schema.get("description", ""))
    if field.path == ".metadata":
        return
    if not (text[:1].isupper() or text[:1].isdigit() or text.startswith("naisho")) or not text.endswith("."):
        yield f"{field.path or 'the root'} is described as {text!r}"


CHECKS = (faults_of_form, faults_of_contents, faults_of_bounds, faults_of_descriptions)


def faults(definition: Definition, check: Callable[[Field], Iterator[str]]) -> list[str]:
    return [fault for field in definition.fields() for fault in check(field)]


@each_definition
@pytest.mark.parametrize("check", CHECKS)
def test_every_field_is_in_order(definition: Definition, check: Callable[[Field], Iterator[str]]) -> None:
    assert faults(definition, check) == []


@pytest.mark.parametrize(
    ("check", "path", "change"),
    [
        (faults_of_form, ".spec", {"x-kubernetes-preserve-unknown-fields": True}),
        (faults_of_contents, ".spec.settings.onion", {"additionalProperties": True}),
        (faults_of_form, ".spec.family", {"type": None}),
        (faults_of_form, ".spec.storage.size", {"type": "string"}),
        (faults_of_contents, ".spec.scheduling.tolerations", {"items": None}),
        (faults_of_contents, ".spec.scheduling.tolerations", {"x-kubernetes-list-type": None}),
        (faults_of_contents, ".spec.scheduling.tolerations[]", {"properties": None}),
        (faults_of_contents, ".spec.storage", {"required": ["sise"]}),
        (faults_of_contents, ".status.conditions[]", {"required": ["status"]}),
        (faults_of_form, ".metadata", {"description": "Name."}),
        (faults_of_bounds, ".spec.family", {"maxLength": None}),
        (faults_of_bounds, ".spec.scheduling.tolerations", {"maxItems": None}),
        (faults_of_bounds, ".spec.settings.swarm", {"maxProperties": None}),
        (faults_of_bounds, ".spec.replicas", {"maximum": None}),
        (faults_of_bounds, ".spec.replicas", {"format": None}),
        (faults_of_bounds, ".spec.autoscaling.targets.storesPerSecond", {"minimum": 0.001}),
        (faults_of_descriptions, ".spec.family", {"description": None}),
        (faults_of_descriptions, ".spec.settings.swarm{}", {"description": "value"}),
    ],
)
def test_a_planted_fault_is_noticed(check: Callable[[Field], Iterator[str]], path: str, change: dict[str, Any]) -> None:
    definition = Definition(copy.deepcopy(DEFINITIONS["NodePool"].document))
    (schema,) = (field.schema for field in definition.fields() if field.path == path)
    for key, value in change.items():
        schema.pop(key, None)
        if value is not None:
            schema[key] = value
    assert faults(definition, check)


@each_definition
def test_defaults_are_valid_themselves(definition: Definition) -> None:
    for field in definition.fields():
        if "default" in field.schema:
            assert complaints_of(field.schema, field.schema["default"]) == []


@each_definition
@pytest.mark.parametrize("version", ["1.29", official.latest_version()])
def test_kubernetes_schema_of_definitions_accepts_them(definition: Definition, version: str) -> None:
    official.validate(definition.document, version, strict=True)


def test_kubernetes_schema_of_definitions_notices_an_unknown_word() -> None:
    document = copy.deepcopy(DEFINITIONS["NodePool"].document)
    document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["maxLenght"] = 3
    with pytest.raises(official.ValidationError):
        official.validate(document, "1.29", strict=True)


@each_definition
def test_names_are_those_of_the_group(definition: Definition) -> None:
    names, spec = definition.document["spec"]["names"], definition.document["spec"]
    assert definition.document["metadata"]["name"] == f"{names['plural']}.{spec['group']}"
    assert (spec["group"], spec["scope"], definition.version["name"]) == ("naisho.dev", "Namespaced", "v1alpha1")
    assert names["plural"] == f"{names['singular']}s" == f"{definition.kind.lower()}s"
    assert names["categories"] == ["naisho"]
    assert definition.document["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_short_names_are_told_apart() -> None:
    short = [name for each in DEFINITIONS.values() for name in each.document["spec"]["names"]["shortNames"]]
    assert short == ["npool", "snode"]


@pytest.mark.parametrize("file", FILES)
def test_an_old_api_server_is_not_sent_the_rules(file: str) -> None:
    """Helm refuses to send a server what that does not know; so each block of rules stands between two lines."""
    text = (TEMPLATES / file).read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines[0] == "{{- if .Values.crds.create }}"
    assert text.count("{{- if ") == text.count("{{- end }}") == text.count(f"{VALIDATIONS}:") + 1
    kept, inside = [], False
    for line in lines[1:-1]:
        if line in {GUARD, "{{- end }}"}:
            assert inside == (line != GUARD)
            inside = line == GUARD
        elif not inside:
            kept.append(line)
    without = Definition(yaml.safe_load(literal("\n".join(kept))))
    whole = Definition(yaml.safe_load(literal(text)))
    expected = [(path, {k: v for k, v in schema.items() if k != VALIDATIONS}) for path, schema, _ in whole.fields()]
    assert not [field for field in without.fields() if VALIDATIONS in field.schema]
    assert [path for path, _ in expected] == [field.path for field in without.fields()]
    assert all(set(schema) == set(field.schema) for (_, schema), field in zip(expected, without.fields(), strict=True))
