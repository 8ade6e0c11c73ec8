"""Who may ask for what: request signatures, subaccounts, times (wire 4.4)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from naisho.protocol.account import ORDINARY, converts_to
from naisho.protocol.encoding import from_base64, from_hex
from naisho.protocol.errors import BadEncoding
from naisho.protocol.limits import SIGNATURE_TOLERANCE_MS
from naisho.protocol.signing import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify
from naisho.protocol.subaccount import Rights, Token
from services.swarm.domain.parameters import Params, as_token, invalid, optional, required, wrong_type
from services.swarm.domain.ports import Refused

#: Lengths of a signature's base64 text, without and with padding.
_SIGNATURE_CHARACTERS: Final = (86, 88)


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a request brings to show that its account allows it."""

    #: 33 bytes.
    account: bytes
    signature: bytes
    #: The account's Ed25519 key, where the account id does not hold it.
    ed25519: bytes | None
    #: The subaccount that signed, and the account's signature of it.
    token: Token | None = None
    token_signature: bytes = b""

    @property
    def rights(self) -> Rights:
        """What the signer may do if its signature is right."""
        return Rights.READ | Rights.WRITE | Rights.DELETE if self.token is None else self.token.rights


def credentials(params: Params, account: bytes) -> Credentials | None:
    """Read a request's credentials, ``None`` if it is not signed.

    Raises:
        Refused: 400, they have not the right form.
    """
    ed25519 = _ed25519(params, account)
    if (text := optional(params, "signature")) is None:
        return None
    token = optional(params, "subaccount")
    token_signature = optional(params, "subaccount_sig")
    if token is None and token_signature is None:
        return Credentials(account, _signature(text), ed25519)
    return Credentials(
        account,
        _signature(text),
        ed25519,
        as_token("subaccount", required(params, "subaccount")),
        _signature(required(params, "subaccount_sig")),
    )


def required_credentials(params: Params, account: bytes) -> Credentials:
    """Read the credentials of a request that must be signed.

    Raises:
        Refused: 400, they are missing or have not the right form.
    """
    if (found := credentials(params, account)) is None:
        raise invalid("Required field 'signature' missing")
    return found


def owner_credentials(params: Params, account: bytes) -> Credentials:
    """Read the credentials of a request that only the owner may make: a subaccount in it counts for nothing."""
    required(params, "signature")
    return Credentials(account, _signature(params["signature"]), _ed25519(params, account))


def check_signature(method: str, given: Credentials, text: bytes, needed: Rights, revoked: Collection[bytes]) -> None:
    """Refuse a request that its account does not allow.

    Args:
        method: names the method in the refusal.
        given: the request's credentials.
        text: what must be signed.
        needed: rights that a subaccount must hold.
        revoked: the account's revoked tokens; empty where revocation does not count.

    Raises:
        Refused: 401.
    """
    if not _authentic(given, text, needed, revoked):
        raise Refused(401, f"{method} signature verification failed")


def check_time(what: str, timestamp_ms: int, now_ms: int) -> None:
    """Refuse a signature whose time is too far from the clock.

    Raises:
        Refused: 406; clients then ask for the time and try again.
    """
    if abs(timestamp_ms - now_ms) > SIGNATURE_TOLERANCE_MS:
        raise Refused(406, f"{what} timestamp too far from current time")


def _authentic(given: Credentials, text: bytes, needed: Rights, revoked: Collection[bytes]) -> bool:
    owner = given.account[1:]
    if given.ed25519 is not None:
        if not converts_to(given.ed25519, owner):
            return False
        owner = given.ed25519
    token = given.token
    if token is None:
        return verify(owner, text, given.signature)
    return (
        token.raw not in revoked
        and token.granted_by(owner, given.token_signature, prefix=given.account[0], needed=needed)
        and verify(token.key, text, given.signature)
    )


def _ed25519(params: Params, account: bytes) -> bytes | None:
    if (text := params.get("pubkey_ed25519")) is None:
        return None
    if account[0] != ORDINARY:
        raise invalid("pubkey_ed25519 is only permitted for 05[...] pubkeys")
    try:
        return from_hex(text, PUBLIC_KEY_BYTES)
    except BadEncoding:
        raise wrong_type("pubkey_ed25519", "64 hex digits (32 bytes)") from None


def _signature(text: object) -> bytes:
    if isinstance(text, str) and len(text) in _SIGNATURE_CHARACTERS:
        try:
            return from_base64(text, max_bytes=SIGNATURE_BYTES, size=SIGNATURE_BYTES)
        except BadEncoding:
            pass
    raise invalid("invalid signature: expected base64 encoded Ed25519 signature")
