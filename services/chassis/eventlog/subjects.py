"""Names and subjects of the event log: what is allowed, and what a pattern matches."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_SUBJECT: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_PATTERN: Final = re.compile(r"(?:[A-Za-z0-9_-]+|\*)(?:\.(?:[A-Za-z0-9_-]+|\*))*(?:\.>)?|>")


def check_name(name: str) -> None:
    """Raise ``ValueError`` unless this can name a stream or a follower."""
    if not _NAME.fullmatch(name):
        raise ValueError("a name of the event log has letters, digits, '-' and '_' only")


def check_subject(subject: str) -> None:
    """Raise ``ValueError`` unless an event can have this subject."""
    if not _SUBJECT.fullmatch(subject):
        raise ValueError("a subject is dot-separated tokens of letters, digits, '-' and '_'")


def check_conditions(expected: int | None, ttl_s: int | None) -> None:
    """Raise ``ValueError`` unless these can be the conditions of an append."""
    if expected is not None and expected < 0:
        raise ValueError("an expected sequence is at least 0")
    if ttl_s is not None and ttl_s < 1:
        raise ValueError("a time to live is at least 1 second")


def check_patterns(patterns: Sequence[str]) -> None:
    """Raise ``ValueError`` unless these can be followed together: well-formed, at least one, none overlapping."""
    if not patterns or not all(_PATTERN.fullmatch(pattern) for pattern in patterns):
        raise ValueError("a pattern is a subject with '*' for one token and '>' for all that follow")
    if _any_overlap([pattern.split(".") for pattern in patterns]):
        raise ValueError("patterns of one follower must not overlap")


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return the test whether any of the patterns matches a subject."""
    parts = (
        r"\.".join({"*": "[^.]+", ">": ".+"}.get(token, re.escape(token)) for token in pattern.split("."))
        for pattern in patterns
    )
    compiled = re.compile("|".join(parts))
    return lambda subject: compiled.fullmatch(subject) is not None


def _any_overlap(patterns: Sequence[Sequence[str]]) -> bool:
    """Tell whether two patterns overlap: token by token, and pair by pair only where wildcards meet other tokens."""
    by_head: dict[str, list[Sequence[str]]] = {}
    for pattern in patterns:
        by_head.setdefault(pattern[0] if pattern else "", []).append(pattern[1:])
    if len(by_head.pop("", ())) > 1:
        return True  # two that end here are the same
    if len(by_head) > 1 and by_head.keys() & {"*", ">"}:
        return any(_overlap(one, other) for one, other in combinations([p for p in patterns if p], 2))
    return any(len(rests) > 1 and (head == ">" or _any_overlap(rests)) for head, rests in by_head.items())


def _overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    for left, right in zip(one, other, strict=False):
        if ">" in {left, right}:
            return True
        if left != right and "*" not in {left, right}:
            return False
    return len(one) == len(other)
