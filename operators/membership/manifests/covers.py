"""Whether an object as it is already says all that it should say."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

_SCALES: Final = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
}


def covers(there: Any, wanted: Any) -> bool:
    """Tell whether ``there`` holds everything that ``wanted`` says.

    What the API server adds (defaults, status) is no difference. Lists must have the same length and order. Texts that
    are the same quantity (``0.5`` and ``500m``) are equal, since the API server writes quantities its own way.
    """
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(
            covers(there.get(name), value) for name, value in wanted.items() if value not in ({}, [], None)
        )
    if isinstance(wanted, list):
        return (
            isinstance(there, list)
            and len(there) == len(wanted)
            and all(covers(one, other) for one, other in zip(there, wanted, strict=True))
        )
    if there == wanted:
        return True
    if isinstance(there, str | int | float) and isinstance(wanted, str | int | float) and not isinstance(wanted, bool):
        size = quantity(str(wanted))
        return size is not None and size == quantity(str(there))
    return False


def quantity(text: str) -> Decimal | None:
    """Return how much a Kubernetes quantity is; ``None`` if the text is none."""
    number = text.rstrip("mkMGTPi")
    scale = _SCALES.get(text[len(number) :])
    try:
        return None if scale is None else Decimal(number) * scale
    except InvalidOperation:
        return None
