"""The resource definitions as the chart's templates hold them, and their fields one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import yaml

ROOT: Final = Path(__file__).parents[2]
TEMPLATES: Final = ROOT / "charts" / "naisho" / "templates" / "crds"
FILES: Final = ("nodepools.yaml", "servicenodes.yaml")
VALIDATIONS: Final = "x-kubernetes-validations"
INT_OR_STRING: Final = "x-kubernetes-int-or-string"

Schema: TypeAlias = dict[str, Any]
Resource: TypeAlias = dict[str, Any]


class Field(NamedTuple):
    """One place in a schema.

    Attributes:
        path: ``.spec.storage.size``; ``[]`` is any item of a list, ``{}`` any value of a map, ``""`` the root.
        schema: what is said of it.
        required: the object around it cannot be without it.
    """

    path: str
    schema: Schema
    required: bool


@dataclass(frozen=True, slots=True)
class Definition:
    """One CustomResourceDefinition."""

    document: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.document["spec"]["names"]["kind"])

    @property
    def version(self) -> dict[str, Any]:
        """The one version that is served."""
        (version,) = self.document["spec"]["versions"]
        assert isinstance(version, dict)
        return version

    @property
    def schema(self) -> Schema:
        schema = self.version["schema"]["openAPIV3Schema"]
        assert isinstance(schema, dict)
        return schema

    def fields(self) -> Iterator[Field]:
        return walk(self.schema)


def walk(schema: Schema, path: str = "", *, required: bool = True) -> Iterator[Field]:
    """Yield a schema and all that is inside of it, in the order in which it is written."""
    yield Field(path, schema, required)
    needed = schema.get("required", [])
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}", required=name in needed)
    if isinstance(schema.get("items"), dict):
        yield from walk(schema["items"], f"{path}[]", required=False)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from walk(schema["additionalProperties"], f"{path}{{}}", required=False)


def literal(template: str) -> str:
    """Return what is left of a template without the lines in double braces, which must stand alone.

    Raises:
        ValueError: double braces stand elsewhere.
    """
    lines = [line for line in template.splitlines() if not (line.startswith("{{") and line.endswith("}}"))]
    if any("{{" in line or "}}" in line for line in lines):
        raise ValueError("double braces stand within a line")
    return "\n".join(lines)


@cache
def definition(file: str) -> Definition:
    """Return what a template defines."""
    return Definition(yaml.safe_load(literal((TEMPLATES / file).read_text(encoding="utf-8"))))


def definitions() -> dict[str, Definition]:
    """Return all definitions by kind."""
    return {found.kind: found for found in map(definition, FILES)}
