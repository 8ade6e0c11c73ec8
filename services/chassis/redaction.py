"""A wrapper for what must not be printed: keys, tokens, account ids, hashes, addresses."""

from __future__ import annotations

import hmac
from typing import Any, Final, Generic, NoReturn, TypeVar

T = TypeVar("T")

REDACTED: Final = "[redacted]"


class Redacted(Generic[T]):
    """Carries a value and prints a redaction, however it is formatted; only `reveal` gives the value.

    It does not serialise: JSON encoders and pickle refuse it, unless they are told to fall back to `str`.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return REDACTED

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, _: str, /) -> str:
        return REDACTED

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Redacted):
            return NotImplemented
        mine, theirs = self._value, other._value
        if isinstance(mine, bytes) and isinstance(theirs, bytes):
            return hmac.compare_digest(mine, theirs)
        return bool(mine == theirs)

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce_ex__(self, _: Any, /) -> NoReturn:
        raise TypeError("a redacted value is not to be copied out of the process")
