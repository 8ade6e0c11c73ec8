"""The kinds of values that settings have, and how their texts are read."""

from __future__ import annotations

import enum
import math
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, NamedTuple, NewType, Self, Union, get_args, get_origin

from services.chassis.redaction import Redacted

#: Seconds.
Duration = NewType("Duration", float)
#: Bytes.
Size = NewType("Size", int)

MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_DURATION_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": MINUTE, "h": HOUR, "d": DAY}
_SIZE_UNITS: Final = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
_BOOLEANS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_LONGEST_SECRET: Final = 64 * 1024


class BadValue(ValueError):
    """A value is not what the setting needs; the text says what it needs and never quotes a secret."""


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number, both included. Durations count in seconds, sizes in bytes."""

    low: float = -math.inf
    high: float = math.inf

    def check(self, value: float) -> None:
        """Raise `BadValue` if `value` lies outside."""
        if not self.low <= value <= self.high:
            raise BadValue(f"must lie between {self.low:g} and {self.high:g}")


class Address(NamedTuple):
    """Where to listen or connect: ``127.0.0.1:8443``, ``[::1]:8443``, ``node.example:443``."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``host:port``; an IPv6 address stands in brackets, port 0 means any free one."""
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        host = host[1:-1] if bracketed else host
        if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 2**16):
            raise BadValue("needs host:port")
        if (":" in host) != bracketed:
            raise BadValue("an IPv6 address stands in brackets: [::1]:443")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Secret(Redacted[bytes]):
    """What a file holds that only the service may read; prints a redaction."""

    __slots__ = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of at most 64 KiB, without the line feed at its end.

        Raises:
            BadValue: it is missing, unreadable, empty, too long, or every user of the machine may read it.
        """
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & stat.S_IROTH:
                    raise BadValue(f"{path} may be read by everybody: chmod o-rwx it")
                value = file.read(_LONGEST_SECRET + 1)
        except OSError as error:
            raise BadValue(f"{path} cannot be read: {error.strerror}") from error
        if not value or len(value) > _LONGEST_SECRET:
            raise BadValue(f"{path} must hold between 1 and {_LONGEST_SECRET} bytes")
        return cls(value.removesuffix(b"\n"))

    @property
    def text(self) -> str:
        """The secret as text."""
        return self.reveal().decode()


def convert(kind: Any, value: object) -> Any:
    """Turn what TOML or the environment gave into a value of type `kind`.

    Raises:
        BadValue: saying what is needed.
        TypeError: `kind` is no type that settings may have (a mistake in the program).
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        converted = convert(arguments[0], value)
        for bounds in arguments[1:]:
            if isinstance(bounds, Range) and converted is not None:
                bounds.check(converted)
        return converted
    if origin in {Union, UnionType}:
        return convert(without_none(kind), value)
    if origin is tuple:
        parts = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        if not isinstance(parts, list):
            raise BadValue("needs a list")
        return tuple(convert(arguments[0], part) for part in parts)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _member(kind, value)
    if kind not in _READERS:
        raise TypeError(f"settings have no values of type {kind}")
    return _READERS[kind](value)


def without_none(kind: Any) -> Any:
    """Return X for ``X | None``, and everything else as it is."""
    if get_origin(kind) in {Union, UnionType}:
        (kind,) = (argument for argument in get_args(kind) if argument is not NoneType)
    return kind


def _member(kind: type[enum.Enum], value: object) -> enum.Enum:
    members = {str(member.value): member for member in kind}
    if str(value) not in members:
        raise BadValue("must be one of " + ", ".join(members))
    return members[str(value)]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadValue("needs text")
    return value


def _whole(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?\d+(_\d+)*", value, re.ASCII):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise BadValue("needs a whole number")


def _number(value: object) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadValue("needs a number") from None
    if not math.isfinite(number):
        raise BadValue("needs a finite number")
    return number


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    raise BadValue("needs true or false")


def _quantity(units: dict[str, float] | dict[str, int], example: str) -> Callable[[object], float]:
    def read(value: object) -> float:
        match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
        if match is None or match[2] not in units:
            raise BadValue(f"needs a number with a unit ({', '.join(units)}), such as {example}")
        return float(match[1]) * units[match[2]]

    return read


_duration: Final = _quantity(_DURATION_UNITS, "90s")
_size: Final = _quantity(_SIZE_UNITS, "10MiB")

_READERS: Final[dict[Any, Callable[[object], Any]]] = {
    str: _text,
    int: _whole,
    float: _number,
    bool: _boolean,
    Path: lambda value: Path(_text(value)).expanduser(),
    Duration: _duration,
    Size: lambda value: int(_size(value)),
    Address: lambda value: Address.parse(_text(value)),
    Secret: lambda value: Secret.read(Path(_text(value))),
}
