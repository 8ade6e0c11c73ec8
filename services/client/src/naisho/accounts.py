"""Account ids as people type them: 66 digits without a checksum, so what can be noticed is noticed (SES-3)."""

from __future__ import annotations

from collections.abc import Iterable

from naisho.errors import BadAccountId
from naisho.protocol.account import ORDINARY, AccountId
from naisho.protocol.errors import BadAccountId as MalformedAccountId

P = 2**255 - 19
#: Coefficient of Curve25519 (RFC 7748, 4.1).
A = 486_662


def parse_account(given: AccountId | str) -> AccountId:
    """Return the ordinary account that a text names.

    Half of all mistyped ids name a point that no key pair can have, and are refused.

    Raises:
        BadAccountId: not 66 hex digits that start with 05, or nobody's.
    """
    try:
        account = given if isinstance(given, AccountId) else AccountId.parse(given.strip())
    except MalformedAccountId as error:
        raise BadAccountId from error
    if account.prefix != ORDINARY or not is_possible(account):
        raise BadAccountId
    return account


def is_possible(account: AccountId) -> bool:
    """Tell whether an account's X25519 key lies on the curve, as all that come from Ed25519 keys do (Euler)."""
    u = int.from_bytes(account.key, "little")
    return u < P and pow(u * (u * u + A * u + 1), (P - 1) // 2, P) == 1


def lookalike(account: AccountId, known: Iterable[AccountId]) -> AccountId | None:
    """Return a known account whose id differs in one digit, or in two neighbours swapped, if there is one.

    >>> one = AccountId.parse("05" + "ab" * 32)
    >>> lookalike(AccountId.parse("05" + "ab" * 31 + "ac"), [one]) == one
    True
    >>> lookalike(one, [one]) is None
    True
    """
    for other in known:
        differing = [at for at, (a, b) in enumerate(zip(account.hex, other.hex, strict=True)) if a != b]
        if len(differing) == 1:
            return other
        if len(differing) == 2 and _swapped(account.hex, other.hex, *differing):  # noqa: PLR2004 - a pair
            return other
    return None


def _swapped(one: str, other: str, left: int, right: int) -> bool:
    return right - left == 1 and one[left] == other[right] and one[right] == other[left]
