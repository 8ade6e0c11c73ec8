"""What an API server does to an object before it looks at the rules: it fills in defaults and drops unknown fields."""

from __future__ import annotations

import copy
from typing import Any

from tests.crds.definitions import Definition, Resource, Schema


def completed(definition: Definition, resource: Resource) -> Resource:
    """Return the object with its kind, version and all defaults."""
    group, version = definition.document["spec"]["group"], definition.version["name"]
    whole = {"apiVersion": f"{group}/{version}", "kind": definition.kind, **copy.deepcopy(resource)}
    filled = _filled(definition.schema, whole)
    assert isinstance(filled, dict)
    return filled


def _filled(schema: Schema, value: Any) -> Any:
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name not in value and "default" in inner:
                value[name] = copy.deepcopy(inner["default"])
            if name in value:
                value[name] = _filled(inner, value[name])
        if values := schema.get("additionalProperties"):
            return {name: _filled(values, item) for name, item in value.items()}
    if isinstance(value, list) and "items" in schema:
        return [_filled(schema["items"], item) for item in value]
    return value


def pruned(definition: Definition, resource: Resource) -> Resource:
    """Return the object without fields that the schema does not know; ``metadata`` is Kubernetes' own."""
    kept = _pruned(definition.schema, resource)
    assert isinstance(kept, dict)
    return {**kept, "metadata": resource["metadata"]}


def _pruned(schema: Schema, value: Any) -> Any:
    if isinstance(value, dict):
        if values := schema.get("additionalProperties"):
            return {name: _pruned(values, item) for name, item in value.items()}
        known = schema.get("properties", {})
        return {name: _pruned(known[name], item) for name, item in value.items() if name in known}
    if isinstance(value, list):
        return [_pruned(schema.get("items", {}), item) for item in value]
    return value
