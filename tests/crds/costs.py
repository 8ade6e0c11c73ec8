"""An upper estimate of what a CEL rule costs an API server, after Kubernetes' own way of counting.

An API server refuses a definition if one rule may cost more than ten million, or all together more than a hundred
million. It cannot know values, so it takes the largest that the schema allows. Here every value that a rule looks at is
taken to be read by the dearest function of that rule, which is more than the API server assumes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final

from tests.crds.cel import Rule, parse
from tests.crds.definitions import INT_OR_STRING, Definition, Schema

RULE_LIMIT: Final = 10_000_000
DEFINITION_LIMIT: Final = 100_000_000
#: A request has at most so many bytes, and so has a text without a bound.
REQUEST: Final = 3 * 2**20
#: Reading one byte of a text, and one character of a pattern.
_PER_BYTE: Final = 0.1
_PER_PATTERN_CHARACTER: Final = 0.25
_LITERAL: Final = re.compile(r"'[^']*'")


class UnboundedRule(Exception):
    """A rule looks at something that has no largest size."""


def tokens(tree: Any) -> Iterator[str]:
    """Yield the words of an expression."""
    if hasattr(tree, "children"):
        for child in tree.children:
            yield from tokens(child)
    else:
        yield str(tree)


def called(tree: Any) -> Iterator[str]:
    """Yield the functions and macros that an expression calls, each as often as it does."""
    if not hasattr(tree, "children"):
        return
    if tree.data in {"ident_arg", "member_dot_arg"}:
        yield str(tree.children[0 if tree.data == "ident_arg" else 1])
    for child in tree.children:
        yield from called(child)


def looked_at(tree: Any) -> Iterator[tuple[str, ...]]:
    """Yield the values that an expression looks at, as ``("self", "spec", "pool")``, the longest of each chain."""
    if not hasattr(tree, "children"):
        return
    chain = _chain(tree)
    if chain and chain[0] in {"self", "oldSelf"}:
        yield chain
        return
    for child in tree.children:
        yield from looked_at(child)


def _chain(tree: Any) -> tuple[str, ...]:
    if not hasattr(tree, "children"):
        return ()
    if tree.data == "ident":
        return (str(tree.children[0]),)
    if tree.data == "member_dot":
        inner = _chain(tree.children[0])
        return (*inner, str(tree.children[1])) if inner else ()
    if len(tree.children) == 1:
        return _chain(tree.children[0])
    return ()


def schema_at(definition: Definition, rule: Rule, chain: tuple[str, ...]) -> Schema:
    """Return the schema of a value that a rule looks at.

    Raises:
        KeyError: there is no such field.
    """
    fields = {field.path: field.schema for field in definition.fields()}
    path = rule.path + "".join(f".{name}" for name in chain[1:])
    if path == ".metadata.name":
        return {"type": "string"}
    return fields[path]


def largest(schema: Schema) -> int:
    """Return how many bytes a value may have at most, in steps of reading.

    Raises:
        UnboundedRule: it is a list or a map, none of which our rules look at as a whole. Of an object they ask no more
            than whether it is there.
    """
    if schema.get("type") in {"integer", "number", "boolean"} or "properties" in schema:
        return 1
    if schema.get("type") == "string" or schema.get(INT_OR_STRING):
        if "enum" in schema:
            return max(map(len, schema["enum"]))
        return int(schema["maxLength"]) * 4 if "maxLength" in schema else REQUEST
    raise UnboundedRule(f"a rule looks at a whole {schema.get('type')}")


def estimate(definition: Definition, rule: Rule) -> int:
    """Return what a rule costs at most.

    Raises:
        UnboundedRule: it calls a macro that goes through a list or a map.
    """
    tree = parse(rule.text)
    functions = set(called(tree))
    if functions & {"all", "exists", "exists_one", "filter", "map"}:
        raise UnboundedRule("a rule goes through a list or a map")
    factor = 1
    if "matches" in functions:
        factor = max(math.ceil(len(text) * _PER_PATTERN_CHARACTER) for text in _LITERAL.findall(rule.text))
    steps = sum(1 for _ in tokens(tree))
    values = 0
    for chain in looked_at(tree):
        values += math.ceil(largest(schema_at(definition, rule, chain)) * _PER_BYTE) * factor
    return steps + values
