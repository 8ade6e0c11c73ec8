"""Recovery phrases: an account's seed as words that a person can write down (wire 1.2).

The English list has 1,626 words; the first three letters of a word name it, and the last word of a phrase is a
checksum over the others.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib import resources
from typing import Final
from zlib import crc32

from naisho.protocol.errors import BadRecoveryPhrase

#: Letters that name a word of the English list.
PREFIX_LETTERS: Final = 3

_WORDS_FILE: Final = "recovery_words_english.txt"
_GROUP_BYTES: Final = 4
_GROUP_WORDS: Final = 3
#: The longest seed that is written or read; accounts have 16 or 32 bytes.
_MAX_BYTES: Final = 64
_MAX_WORDS: Final = _MAX_BYTES // _GROUP_BYTES * _GROUP_WORDS + 1
#: Far above the longest phrase; more text is not even split.
_MAX_CHARACTERS: Final = 4096
_MAX_GROUP: Final = 2**32


@cache
def words() -> tuple[str, ...]:
    """Return the word list, in its order."""
    text = resources.files("naisho.protocol").joinpath(_WORDS_FILE).read_text(encoding="ascii")
    return tuple(text.split())


@cache
def _index() -> dict[str, int]:
    return {word[:PREFIX_LETTERS]: number for number, word in enumerate(words())}


def to_words(seed: bytes) -> str:
    """Return the phrase of a seed: 13 words for 16 bytes, 25 for 32, separated by spaces.

    Raises:
        BadRecoveryPhrase: the length is not a multiple of 4 from 4 to 64.
    """
    if not seed or len(seed) % _GROUP_BYTES or len(seed) > _MAX_BYTES:
        raise BadRecoveryPhrase("a seed has 16 or 32 bytes")
    listed = words()
    count = len(listed)
    numbers: list[int] = []
    for start in range(0, len(seed), _GROUP_BYTES):
        value = int.from_bytes(seed[start : start + _GROUP_BYTES], "little")
        first = value % count
        second = (value // count + first) % count
        numbers += (first, second, (value // count // count + second) % count)
    return " ".join(listed[number] for number in (*numbers, numbers[_checksum(numbers)]))


def from_words(text: str) -> bytes:
    """Return the seed of a phrase: 16 bytes of 13 words, 32 of 25.

    Words are known by their first letters, in either case; any white space separates them.

    Raises:
        BadRecoveryPhrase: a word is not in the list, the checksum word is wrong or missing, or the words stand for no
            seed. The text says which word by its place only.
    """
    if len(text) > _MAX_CHARACTERS:
        raise BadRecoveryPhrase("too long for a recovery phrase")
    given = unicodedata.normalize("NFC", text).lower().split()
    if len(given) % _GROUP_WORDS != 1 or not _GROUP_WORDS < len(given) <= _MAX_WORDS:
        raise BadRecoveryPhrase(f"a recovery phrase has 13 words (or 25), not {len(given)}")
    index = _index()
    numbers = [index.get(word[:PREFIX_LETTERS], -1) for word in given]
    if -1 in numbers:
        raise BadRecoveryPhrase(f"word {numbers.index(-1) + 1} is not in the list of recovery words")
    *data, check = numbers
    if data[_checksum(data)] != check:
        raise BadRecoveryPhrase("the last word does not match the others: one of them is wrong or misplaced")
    return b"".join(_group(*triple) for triple in zip(data[::3], data[1::3], data[2::3], strict=True))


def _group(first: int, second: int, third: int) -> bytes:
    count = len(words())
    value = first + count * ((second - first) % count) + count * count * ((third - second) % count)
    if value >= _MAX_GROUP:
        raise BadRecoveryPhrase("these words stand for no seed")
    return value.to_bytes(_GROUP_BYTES, "little")


def _checksum(numbers: list[int]) -> int:
    listed = words()
    return crc32("".join(listed[number][:PREFIX_LETTERS] for number in numbers).encode()) % len(numbers)
