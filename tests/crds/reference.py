"""Writes ``docs/operating/crds.md`` from the resource definitions: ``python -m tests.crds.reference``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.crds.contract import stated
from tests.crds.definitions import INT_OR_STRING, ROOT, Definition, Field, Schema, definitions

DOCUMENT: Final = ROOT / "docs" / "operating" / "crds.md"
_HEAD: Final = """\
# NodePool and ServiceNode

<!-- Written by `python -m tests.crds.reference` from charts/naisho/templates/crds; a test fails when it is stale. -->

The two resources of the group `naisho.dev`, version `v1alpha1`. `kubectl explain nodepool.spec` tells the same on a
cluster; [conditions.md](conditions.md) tells what each condition means. `[]` stands for the items of a list, `{}` for
the values of a map. Fields that are not listed are dropped by the API server.
"""
_RULES: Final = """\
Beyond the bounds of single fields. API servers since Kubernetes 1.29 check those marked *server*; the operator checks
those marked *operator* itself, so that older ones lose no data: it goes on with what it did before, and says so in the
condition `ConfigurationWarning`, reason `RuleBroken`.
"""


def reference() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *(line for each in definitions().values() for line in _chapter(each))])


def _chapter(definition: Definition) -> Iterator[str]:
    names = definition.document["spec"]["names"]
    yield f"## {definition.kind}\n"
    yield f"{definition.schema['description']}\n"
    yield f"Short name `{names['shortNames'][0]}`; also listed by `kubectl get {names['categories'][0]}`.\n"
    fields = list(definition.fields())
    for part in ("spec", "status"):
        yield f"### {definition.kind} {part}\n"
        yield from _table(
            ("field", "type", "default", "bounds", "what it is"),
            (_row(field, part) for field in fields if field.path.startswith((f".{part}.", f".{part}[]"))),
        )
    yield f"### {definition.kind} rules\n"
    yield _RULES
    rules = [rule for rule in stated().values() if rule.kind == definition.kind]
    yield from _table(
        ("about", "checked by", "answer"),
        (
            (f"`{rule.at}`" if rule.at else "the whole", _checked_by(rule.cel, rule.operator), _cell(rule.message))
            for rule in rules
        ),
    )
    yield f"### {definition.kind} columns\n"
    yield from _table(
        ("column", "shown", "what it is"),
        (
            (column["name"], "`-o wide`" if column.get("priority") else "always", _cell(column["description"]))
            for column in definition.version["additionalPrinterColumns"]
        ),
    )


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(row)} |"
    yield ""


def _row(field: Field, part: str) -> tuple[str, ...]:
    schema, name = field.schema, field.path.removeprefix(f".{part}.")
    default = f"`{json.dumps(schema['default'])}`" if "default" in schema and schema["default"] != {} else ""
    needed = " (required)" if field.required else ""
    return f"`{name}`", f"{_type(schema)}{needed}", default, _bounds(schema), _cell(schema["description"])


def _type(schema: Schema) -> str:
    if schema.get(INT_OR_STRING):
        return "quantity"
    if "additionalProperties" in schema:
        return "map"
    if schema["type"] == "array":
        return "list"
    return str(schema.get("format") if schema.get("format") == "date-time" else schema["type"])


def _bounds(schema: Schema) -> str:
    return _cell("; ".join(_said(schema)))


def _said(schema: Schema) -> Iterator[str]:
    if "enum" in schema:
        yield ", ".join(f"`{value}`" for value in schema["enum"])
    least: Any = schema.get("minimum")
    if least is not None and "maximum" in schema:
        yield (
            f"above {least}, to {schema['maximum']}"
            if schema.get("exclusiveMinimum")
            else f"{least} to {schema['maximum']}"
        )
    elif least is not None and INT_OR_STRING not in schema:
        yield f"at least {least}"
    if "pattern" in schema and INT_OR_STRING not in schema:
        yield f"`{schema['pattern']}`"
    elif "maxLength" in schema and INT_OR_STRING not in schema:
        yield f"at most {schema['maxLength']} characters"
    if "maxItems" in schema:
        yield f"at most {schema['maxItems']}"
    if "maxProperties" in schema:
        yield f"at most {schema['maxProperties']}"


def _checked_by(server: bool, operator: bool) -> str:  # noqa: FBT001 - two marks of one row
    return ", ".join(name for name, checks in (("server", server), ("operator", operator)) if checks)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def write(document: Path = DOCUMENT) -> None:
    """Write the page."""
    document.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    write()
