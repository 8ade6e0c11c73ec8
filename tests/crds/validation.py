"""What an API server's schema validation says of an object: CEL rules left out, on JSON Schema draft 4 in Python."""

from __future__ import annotations

import importlib
import re
from typing import Any, Final

from tests.crds.definitions import INT_OR_STRING, Definition, Resource, Schema

# It ships no types.
_draft4: Final = importlib.import_module("jsonschema").Draft4Validator


def complaints(definition: Definition, resource: Resource) -> list[str]:
    """Return what is wrong with an object, each as ``.path: what``; give it its defaults before."""
    return complaints_of(definition.schema, resource)


def complaints_of(schema: Schema, value: Any) -> list[str]:
    """Return what is wrong with a value."""
    found = _draft4(for_python(schema)).iter_errors(value)
    return sorted(f"{''.join(f'.{part}' for part in error.absolute_path)}: {error.message}" for error in found)


def for_python(schema: Any) -> Any:
    """Return a schema as Python's validator reads it: ``$`` is the end of a text, and not the line end before it."""
    if isinstance(schema, list):
        return [for_python(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    translated = {key: for_python(value) for key, value in schema.items() if not key.startswith("x-")}
    if isinstance(schema.get("pattern"), str):
        translated["pattern"] = re.sub(r"\$$", r"\\Z", schema["pattern"])
    if schema.get(INT_OR_STRING) is True:
        translated["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    return translated
