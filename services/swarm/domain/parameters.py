"""Reading the parameters of a storage request, field by field (wire 4.2).

``null`` is absent, unknown fields are ignored, and whatever is wrong is refused with 400 ``invalid request: …``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from naisho.protocol.encoding import from_hex
from naisho.protocol.errors import BadEncoding, BadToken
from naisho.protocol.limits import MIN_TIMESTAMP_MS
from naisho.protocol.message_hash import parse_hash
from naisho.protocol.namespaces import HIGHEST, LOWEST
from naisho.protocol.subaccount import Token
from services.swarm.domain.commands import ALL, Namespaces
from services.swarm.domain.ports import Refused

Params: TypeAlias = Mapping[str, Any]

#: Message hashes or tokens that one request may name.
MAX_LISTED: Final = 5_000

_ACCOUNT_BYTES: Final = 33
_HIGHEST_INTEGER: Final = 2**63 - 1
_INTEGER_DIGITS: Final = 19


def invalid(detail: str) -> Refused:
    """Return the refusal of a request that is not as the wire document wants it."""
    return Refused(400, f"invalid request: {detail}")


def wrong_type(name: str, expected: str) -> Refused:
    """Return the refusal of a field's value."""
    return invalid(f"Invalid value given for '{name}': expected {expected}")


def optional(params: Params, name: str, alias: str | None = None) -> Any:
    """Return a field's value, by its name or its other one; ``None`` if it is absent."""
    value = params.get(name)
    if alias is None or (other := params.get(alias)) is None:
        return value
    if value is not None:
        raise invalid(f"Cannot specify both '{name}' and '{alias}'")
    return other


def required(params: Params, name: str, alias: str | None = None) -> Any:
    """Return a field's value, by its name or its other one."""
    if (value := optional(params, name, alias)) is None:
        raise invalid(f"Required field '{name}' missing")
    return value


def account(params: Params, alias: str | None = None) -> bytes:
    """Return the account that a request is about, 33 bytes."""
    text = required(params, "pubkey", alias)
    try:
        return from_hex(text, _ACCOUNT_BYTES)
    except BadEncoding:
        raise invalid("Pubkey must be 66 hex digits (33 bytes) long") from None


def as_integer(name: str, value: Any, *, decimal_text: bool = False) -> int:
    """Return a value as an integer of 64 bits; ``decimal_text`` allows a string of decimal digits."""
    if type(value) is int and -_HIGHEST_INTEGER <= value <= _HIGHEST_INTEGER:
        return value
    if decimal_text and isinstance(value, str) and len(value) <= _INTEGER_DIGITS:
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdigit() and (number := int(value)) <= _HIGHEST_INTEGER:
            return number
    raise wrong_type(name, "integer")


def integer(params: Params, name: str, alias: str | None = None) -> int | None:
    """Return an integer field, ``None`` if it is absent."""
    value = optional(params, name, alias)
    return None if value is None else as_integer(name, value)


def as_timestamp(name: str, value: Any, *, decimal_text: bool = False) -> int:
    """Return a value as a time in ms; seconds given by mistake are too small and refused."""
    number = as_integer(name, value, decimal_text=decimal_text)
    if number < MIN_TIMESTAMP_MS:
        raise invalid(f"Invalid timestamp for '{name}': timestamp must be in milliseconds")
    return number


def timestamp(params: Params, name: str, *, decimal_text: bool = False) -> int:
    """Return a time in ms that must be given."""
    return as_timestamp(name, required(params, name), decimal_text=decimal_text)


def flag(params: Params, name: str, alias: str | None = None) -> bool:
    """Return a boolean field, false if it is absent."""
    value = optional(params, name, alias)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise wrong_type(name, "boolean")


def namespace(params: Params) -> int:
    """Return the namespace, 0 if it is absent."""
    value = params.get("namespace")
    if value is None:
        return 0
    if type(value) is int and LOWEST <= value <= HIGHEST:
        return value
    raise wrong_type("namespace", f"integer from {LOWEST} to {HIGHEST}")


def namespaces(params: Params) -> Namespaces:
    """Return the namespace or ``ALL``, 0 if it is absent."""
    return ALL if params.get("namespace") == ALL else namespace(params)


def listing(name: str, value: Any) -> list[Any]:
    """Return an array of 1 to ``MAX_LISTED`` values; a single value stands for an array of one."""
    values = value if isinstance(value, list) else [value]
    if not 1 <= len(values) <= MAX_LISTED:
        raise wrong_type(name, f"array of 1 to {MAX_LISTED} values")
    return values


def message_hashes(params: Params) -> tuple[bytes, ...]:
    """Return the hashes in ``messages``, 32 bytes each, in the request's order."""
    values = listing("messages", required(params, "messages"))
    try:
        return tuple(map(parse_hash, values))
    except BadEncoding:
        raise wrong_type("messages", "message hashes of 43 base64 characters") from None


def as_token(name: str, value: Any) -> Token:
    """Return a value as a subaccount token."""
    try:
        return Token.parse(value)
    except BadToken:
        raise wrong_type(name, "subaccount token of 72 hex digits or 48 base64 characters") from None


def tokens(params: Params, name: str) -> tuple[bytes, ...]:
    """Return subaccount tokens, 36 bytes each, in the request's order."""
    return tuple(as_token(name, value).raw for value in listing(name, required(params, name)))
