"""JWTs of NATS' decentralised mode: who an operator, its accounts and their users are, signed (docs/adr/0014). Pure.

    operator key ─ signs ─▶ account JWT ─ names ─▶ signing key ─ signs ─▶ user JWT
    (servers know it)       (servers know it)                            (its user shows it at every connect)

The servers are told of operator and accounts once, by the file of ``auth_conf``. Users come and go without them.
A server takes no more than 4,096 bytes of CONNECT, in which a user shows its JWT: rights must be few and short.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from operators.membership.nats_rights import ANSWER_WITHIN_S, NatsUser
from services.chassis.nats.nkey import KeyOf, public_key, sign

_VERSION: Final = 2
_ALL: Final = -1
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLimits:
    """What an account may use of the servers.

    Attributes:
        disk_bytes: most bytes that its streams may reserve together, each counted as often as it has replicas.
        streams: most streams.
        consumers: most consumers of one stream.
        payload_bytes: most bytes of one message, headers included.
        connections: most connections at a time; ``None`` for no bound.
    """

    disk_bytes: int
    streams: int = 8
    consumers: int = 10_000
    payload_bytes: int = 1024 * 1024
    connections: int | None = None


@dataclass(frozen=True, slots=True)
class TrustKeys:
    """The secret halves of what servers and users trust: 32 bytes each.

    Attributes:
        operator: signs accounts.
        account: the network's account; signs nothing, since ``signing`` does.
        signing: signs the account's users.
        system: the account of the servers themselves.
    """

    operator: bytes = field(repr=False)
    account: bytes = field(repr=False)
    signing: bytes = field(repr=False)
    system: bytes = field(repr=False)


def operator_jwt(seed: bytes, *, name: str, system_account: str, issued: int) -> str:
    """Return the operator's own JWT.

    Args:
        seed: the operator's key, 32 bytes.
        name: for people.
        system_account: public key (``A…``) of the servers' own account.
        issued: seconds since 1970.
    """
    claims = {"type": "operator", "version": _VERSION, "system_account": system_account}
    return _signed(seed, KeyOf.OPERATOR, public_key(seed, KeyOf.OPERATOR), claims, name=name, issued=issued)


def account_jwt(
    account: str,
    *,
    operator_seed: bytes,
    name: str,
    issued: int,
    limits: AccountLimits | None = None,
    signing_keys: Sequence[str] = (),
) -> str:
    """Return the JWT of an account.

    Args:
        account: its public key, ``A…``.
        operator_seed: the key of the operator that the servers trust, 32 bytes.
        name: for people.
        issued: seconds since 1970.
        limits: what it may use; ``None`` for an account without JetStream.
        signing_keys: public keys (``A…``) that may sign its users, besides its own.
    """
    claims = {
        "type": "account",
        "version": _VERSION,
        "limits": _limits(limits),
        **({"signing_keys": list(signing_keys)} if signing_keys else {}),
    }
    return _signed(operator_seed, KeyOf.OPERATOR, account, claims, name=name, issued=issued)


def user_jwt(
    user: NatsUser, *, account: str, signing_seed: bytes, name: str, issued: int, expires: int | None = None
) -> str:
    """Return the JWT of a user, with its rights.

    Args:
        user: its public key and rights.
        account: public key (``A…``) of its account.
        signing_seed: a signing key of that account, 32 bytes.
        name: for people, in the servers' lists of connections; short, since it is shown at every connect.
        issued: seconds since 1970.
        expires: seconds since 1970 at which servers cut the user off; ``None`` for never.
    """
    claims: dict[str, Any] = {
        "type": "user",
        "version": _VERSION,
        "issuer_account": account,
        "pub": {"allow": list(user.publish)},
        "sub": {"allow": list(user.subscribe)},
        "subs": _ALL,
        "data": _ALL,
        "payload": _ALL,
    }
    if user.answers:
        claims["resp"] = {"max": 1, "ttl": ANSWER_WITHIN_S * _SECOND_NS}
    return _signed(signing_seed, KeyOf.ACCOUNT, user.public_key, claims, name=name, issued=issued, expires=expires)


def auth_conf(keys: TrustKeys, *, name: str, limits: AccountLimits, issued: int) -> str:
    """Return the part of nats-server's configuration that says whom to trust; to be included. Holds no secret.

    Args:
        keys: of operator and accounts.
        name: the network's id.
        limits: of the network's account.
        issued: seconds since 1970. The same arguments give the same text.
    """
    account, system = public_key(keys.account, KeyOf.ACCOUNT), public_key(keys.system, KeyOf.ACCOUNT)
    operator = operator_jwt(keys.operator, name=name, system_account=system, issued=issued)
    preload = {
        account: account_jwt(
            account,
            operator_seed=keys.operator,
            name=name,
            issued=issued,
            limits=limits,
            signing_keys=(public_key(keys.signing, KeyOf.ACCOUNT),),
        ),
        system: account_jwt(system, operator_seed=keys.operator, name="SYS", issued=issued),
    }
    accounts = "".join(f"  {key}: {jwt}\n" for key, jwt in preload.items())
    return f"operator: {operator}\nsystem_account: {system}\nresolver: MEMORY\nresolver_preload: {{\n{accounts}}}\n"


def _limits(limits: AccountLimits | None) -> dict[str, Any]:
    """Return limits in NATS' terms, in which what is absent is 0, and -1 is no limit."""
    plain = {"subs": _ALL, "data": _ALL, "payload": _ALL, "imports": _ALL, "exports": _ALL, "wildcards": True}
    if limits is None:
        return {**plain, "conn": _ALL}
    return {
        **plain,
        "payload": limits.payload_bytes,
        "conn": _ALL if limits.connections is None else limits.connections,
        "disk_storage": limits.disk_bytes,  # and none in memory: what is acknowledged must be on a disk
        "streams": limits.streams,
        "consumer": limits.consumers,
        "max_bytes_required": True,
    }


def _signed(
    seed: bytes,
    of: KeyOf,
    subject: str,
    nats: dict[str, Any],
    *,
    name: str,
    issued: int,
    expires: int | None = None,
) -> str:
    claims: dict[str, Any] = {"iss": public_key(seed, of), "sub": subject, "name": name, "iat": issued}
    if expires is not None:
        claims["exp"] = expires
    claims["nats"] = nats
    digest = hashlib.sha256(_json(claims)).digest()
    claims["jti"] = base64.b32encode(digest).rstrip(b"=").decode("ascii")
    text = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(claims)}"
    return f"{text}.{sign(seed, text.encode('ascii'))}"


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(_json(content)).rstrip(b"=").decode("ascii")


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
