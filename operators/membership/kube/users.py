"""Users of the log: a key each, and a JWT that lasts for a while and is renewed at half of that."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from operators.membership.kube.foundation import NatsAccount
from operators.membership.kube.vault import Content, Vault
from operators.membership.nats_jwt import user_jwt
from operators.membership.nats_rights import NatsUser
from services.chassis.nats.nkey import public_key

LASTS_S: Final = 90 * 24 * 3600
KEY: Final = "user.key"
JWT: Final = "user.jwt"
AUTHORITY: Final = "ca.crt"


@dataclass(frozen=True, slots=True)
class User:
    """Who a user is: 32 secret bytes, and the JWT that belongs to them."""

    seed: bytes = field(repr=False)
    jwt: str = field(repr=False)


class Users:
    """Makes users of one account and keeps them valid.

    Args:
        vault: where they lie.
        account: whose users they are.
    """

    def __init__(self, vault: Vault, account: NatsAccount) -> None:
        self._vault = vault
        self._account = account

    async def obtain(self, secret: str, component: str, rights: Callable[[str], NatsUser], *, now_s: int) -> User:
        """Return a user that is valid for long enough; it is made, or its JWT renewed, if need be.

        Args:
            secret: name of the Secret.
            component: what the Secret belongs to.
            rights: returns the rights of a user of this public key.
            now_s: the present, seconds since 1970.
        """
        seed = secrets.token_bytes(32)
        content = await self._vault.obtain(secret, component, lambda: self._content(seed, rights, now_s))
        seed = bytes.fromhex(content[KEY].decode())
        fresh = self._content(seed, rights, now_s)
        if content.get(AUTHORITY) != fresh[AUTHORITY] or _is_due(content[JWT].decode(), fresh[JWT].decode(), now_s):
            await self._vault.write(secret, fresh)
            content = fresh
        return User(seed, content[JWT].decode())

    def _content(self, seed: bytes, rights: Callable[[str], NatsUser], now_s: int) -> Content:
        user = rights(public_key(seed))
        jwt = user_jwt(
            user,
            account=self._account.public,
            signing_seed=self._account.signing_seed,
            name="naisho",
            issued=now_s,
            expires=now_s + LASTS_S,
        )
        return {KEY: seed.hex().encode(), JWT: jwt.encode(), AUTHORITY: self._account.authority}


def _is_due(jwt: str, fresh: str, now_s: int) -> bool:
    """Tell whether a JWT has less than half of its time left, or says other things than one made now would."""
    held, wanted = _claims(jwt), _claims(fresh)
    passing = ("jti", "iat", "exp")
    left_s = int(held.get("exp", 0)) - now_s
    return left_s < LASTS_S // 2 or {k: v for k, v in held.items() if k not in passing} != {
        k: v for k, v in wanted.items() if k not in passing
    }


def _claims(jwt: str) -> dict[str, Any]:
    part = jwt.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims
