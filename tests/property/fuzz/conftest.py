"""The fuzzing engine, shared by every part: ``fuzz(name, parse, seeds, refuses)`` in a ``test_fuzz_<part>.py`` here.

It changes known-good inputs at random and keeps those that made a parser answer in a new way. A parser passes if it
returns, or raises one of its documented errors, for every input; and slowly for none.

``NAISHO_FUZZ_INPUTS`` sets the number of inputs for each parser, ``NAISHO_FUZZ_SEED`` the sequence; both are printed.
"""

from __future__ import annotations

import os
import random
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

INPUTS = 100_000
#: Python's own, which services run with.
_RECURSION_LIMIT = 1000
SEED = "naisho"
#: CPU seconds that one input may cost.
SLOW = 1.0
#: Bytes that changes may make an input grow to; seeds may be longer.
LONGEST = 4096
CORPUS = 512

EDGES = (0, 1, 2, 15, 16, 127, 128, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 2**64)
EDGE_BYTES = (0x00, 0x01, 0x20, 0x7F, 0x80, 0xFF, *b'"{}[]:,-0Zle')
TOKENS = (
    b"null",
    b"true",
    b"{}",
    b"[]",
    b'""',
    b"-1",
    b"1e999",
    b"1.5",
    b"\\ud800",
    b"\\u0000",
    b"[" * 50,
    b"\xff\xfe",
)
DIGITS = re.compile(rb"\d{1,20}")

Parse = Callable[[bytes], object]


class Inputs:
    """An endless supply: known inputs, each changed in one to four places."""

    def __init__(self, seeds: Sequence[bytes], tokens: Sequence[bytes], dice: random.Random) -> None:
        self._corpus = list(seeds)
        self._seeds = len(self._corpus)
        self._tokens = (*tokens, *TOKENS)
        self._random = dice.random
        self._changes: tuple[Callable[[bytearray, int], None], ...] = (
            *(self._flip, self._flip, self._set, self._cut, self._shorten, self._repeat, self._noise),
            *(self._insert, self._overwrite, self._splice, self._binary_number, self._decimal_number),
        )

    def keep(self, data: bytes) -> None:
        """Build on this input from now on; seeds are never pushed out."""
        if len(self._corpus) < self._seeds + CORPUS:
            self._corpus.append(data)
        else:
            self._corpus[self._seeds + self._below(CORPUS)] = data

    def __iter__(self) -> Iterator[bytes]:
        yield from self._corpus[: self._seeds]
        while True:
            data = bytearray(self._pick(self._corpus))
            for _ in range(1 + self._below(2) * self._below(4)):
                self._pick(self._changes)(data, self._below(len(data) + 1))
            yield bytes(data) if len(data) <= LONGEST else bytes(data[:LONGEST])

    def _below(self, limit: int) -> int:
        return int(self._random() * limit)

    def _pick(self, things: Sequence[Any]) -> Any:
        return things[int(self._random() * len(things))]

    def _flip(self, data: bytearray, at: int) -> None:
        if at < len(data):
            data[at] ^= 1 << self._below(8)

    def _set(self, data: bytearray, at: int) -> None:
        data[at : at + 1] = bytes((self._pick(EDGE_BYTES),))

    def _cut(self, data: bytearray, at: int) -> None:
        del data[at : at + 1 + self._below(8)]

    def _shorten(self, data: bytearray, at: int) -> None:
        del data[at:]

    def _repeat(self, data: bytearray, at: int) -> None:
        data[at:at] = data[at : at + 1 + self._below(32)]

    def _noise(self, data: bytearray, at: int) -> None:
        data[at:at] = bytes(self._below(256) for _ in range(1 + self._below(4)))

    def _insert(self, data: bytearray, at: int) -> None:
        data[at:at] = self._pick(self._tokens)

    def _overwrite(self, data: bytearray, at: int) -> None:
        token = self._pick(self._tokens)
        data[at : at + len(token)] = token

    def _splice(self, data: bytearray, at: int) -> None:
        other = self._pick(self._corpus)
        data[at:] = other[self._below(len(other) + 1) :]

    def _binary_number(self, data: bytearray, at: int) -> None:
        width = self._pick((2, 4, 8))
        number = self._pick((*EDGES, len(data), len(data) - at)) % 2 ** (8 * width)
        data[at : at + width] = number.to_bytes(width, self._pick(("little", "big")))

    def _decimal_number(self, data: bytearray, at: int) -> None:
        found = DIGITS.search(data, at)
        if found:
            number = self._pick((*EDGES, int(found[0]) + 1, int(found[0]) - 1, len(data)))
            data[found.start() : found.end()] = b"%d" % number


def run(
    name: str, parse: Parse, seeds: Sequence[bytes], refuses: tuple[type[Exception], ...], tokens: Sequence[bytes] = ()
) -> None:
    """Feed one parser; fail with the input that it stumbled over."""
    count = int(os.environ.get("NAISHO_FUZZ_INPUTS", INPUTS))
    seed = os.environ.get("NAISHO_FUZZ_SEED", SEED)
    print(f"fuzz {name}: {count} inputs, NAISHO_FUZZ_SEED={seed}")
    inputs = Inputs(seeds, tokens, random.Random(f"{seed}:{name}"))
    seen: set[object] = set()
    clock = time.thread_time
    for number, data in zip(range(count), inputs, strict=False):
        began = clock()
        try:
            parse(data)
            outcome: object = "accepted"
        except refuses as refused:
            outcome = (type(refused), str(refused))
        except Exception as error:  # noqa: BLE001 - anything else is what we look for
            pytest.fail(f"{name}: {type(error).__name__}: {error} at input {number} of seed {seed}: {data!r}")
        if clock() - began > SLOW:
            pytest.fail(f"{name}: more than {SLOW} s of CPU for input {number} of seed {seed}: {data!r}")
        if outcome not in seen and len(seen) < CORPUS:
            seen.add(outcome)
            inputs.keep(data)


@pytest.fixture
def fuzz() -> Callable[..., None]:
    """Return ``fuzz(name, parse, seeds, refuses, tokens=())``.

    Args of the returned function:
        name: what to call the parser in a failure.
        parse: takes bytes; may assert whatever must hold of what it accepts.
        seeds: at least one good input; good ones of every kind are worth most.
        refuses: the parser's documented errors.
        tokens: byte strings that mean something to it.
    """
    return run


@pytest.fixture(autouse=True)
def _plain_recursion_limit() -> Iterator[None]:
    """Let recursion end where a service's would: libraries of other tests raise the limit for the whole process."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(_RECURSION_LIMIT)
    yield
    sys.setrecursionlimit(before)
