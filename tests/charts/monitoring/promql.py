"""Reads of an expression which metrics and labels it names. It does not check its grammar; promtool does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    |(?P<grafana>\$[A-Za-z_]+)
    |(?P<duration>\d+(?:ms|[smhdwy]))
    |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<word>[A-Za-z_][A-Za-z0-9_:]*)
    |(?P<sign>=~|!~|!=|==|<=|>=|[-+*/%^<>=(){}\[\],:@])""",
    re.VERBOSE,
)
#: Before a list of labels in parentheses.
_LISTS: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_OTHER_WORDS: Final = frozenset({"and", "or", "unless", "offset", "bool", "inf", "nan", "atan2"})


class NotReadable(ValueError):
    """A character that no expression has."""


@dataclass(frozen=True)
class Selector:
    """One metric as it is asked for.

    Attributes:
        metric: its name.
        matchers: label, operator, value.
    """

    metric: str
    matchers: tuple[tuple[str, str, str], ...] = ()


@dataclass
class Named:
    """What an expression names.

    Attributes:
        selectors: the metrics, each as it is asked for.
        grouped: labels that it groups or joins by.
    """

    selectors: list[Selector] = field(default_factory=list)
    grouped: set[str] = field(default_factory=set)

    @property
    def metrics(self) -> set[str]:
        """Names of the metrics."""
        return {selector.metric for selector in self.selectors}


def read(expression: str) -> Named:
    """Return what an expression names.

    Raises:
        NotReadable: a character that no expression has, or an end in the middle.
    """
    tokens = list(_tokens(expression))
    named = Named()
    position = 0
    while position < len(tokens):
        kind, text = tokens[position]
        after = tokens[position + 1][1] if position + 1 < len(tokens) else ""
        position += 1
        if kind != "word" or text.lower() in _OTHER_WORDS:
            continue
        if text.lower() in _LISTS:
            if after == "(":
                end = _end(tokens, position, ")")
                named.grouped.update(token for _, token in tokens[position + 1 : end] if token != ",")
                position = end + 1
        elif after == "{":
            end = _end(tokens, position, "}")
            named.selectors.append(Selector(text, _matchers([token for _, token in tokens[position + 1 : end]])))
            position = end + 1
        elif after != "(" and not _is_aggregation(tokens, position):
            named.selectors.append(Selector(text))
    return named


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(expression):
        found = _TOKEN.match(expression, position)
        if found is None:
            raise NotReadable(f"at {position}: {expression[position : position + 20]!r}")
        position = found.end()
        if found.lastgroup != "space":
            yield str(found.lastgroup), found.group()


def _end(tokens: list[tuple[str, str]], position: int, sign: str) -> int:
    for index in range(position, len(tokens)):
        if tokens[index] == ("sign", sign):
            return index
    raise NotReadable(f"nothing closes with {sign}")


def _is_aggregation(tokens: list[tuple[str, str]], position: int) -> bool:
    """Tell whether the word before ``position`` is ``sum`` in ``sum by (...) (...)``."""
    return position < len(tokens) and tokens[position][1].lower() in {"by", "without"}


def _matchers(tokens: list[str]) -> tuple[tuple[str, str, str], ...]:
    """Read ``label = "value" , …``."""
    parts = [token for token in tokens if token != ","]
    return tuple(
        (parts[index], parts[index + 1], parts[index + 2][1:-1].replace("\\\\", "\\"))
        for index in range(0, len(parts) - 2, 3)
    )
