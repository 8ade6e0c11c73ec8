"""A server in NATS' decentralised mode, and users that the network's account signed."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from operators.local.nats_config import NatsConfig, render
from operators.local.nats_server import NatsServer, check_config, free_port
from operators.membership.nats_jwt import AccountLimits, TrustKeys, auth_conf, user_jwt
from operators.membership.nats_rights import NatsUser, authority_user, custodian_user, node_user
from services.chassis.nats.credentials import Credentials, CredentialSource
from services.chassis.nats.names import NetworkNames
from services.chassis.nats.nkey import KeyOf, public_key

#: A user who may do everything, for tests of something else than rights.
EVERYTHING = "everything"
LIMITS = AccountLimits(disk_bytes=1 << 42, streams=1000)


@dataclass(frozen=True)
class SignedUsers:
    """One network's account."""

    names: NetworkNames
    keys: TrustKeys

    @classmethod
    def make(cls, names: NetworkNames) -> Self:
        return cls(names, TrustKeys(*(secrets.token_bytes(32) for _ in range(4))))

    @property
    def trust(self) -> str:
        """The file that tells servers whom to trust."""
        return auth_conf(self.keys, name=self.names.network, limits=LIMITS, issued=int(time.time()))

    def rights(self, user: str, seed: bytes) -> NatsUser:
        key = public_key(seed)
        if user == EVERYTHING:
            return NatsUser(key, (">",), (">",))
        if user == "authority":
            return authority_user(self.names, key)
        if user == "custodian":
            return custodian_user(self.names, key)
        return node_user(self.names, user, key, followers=(user, f"{user}-next"))

    def jwt(
        self,
        user: str,
        seed: bytes,
        *,
        lasts_s: int = 3600,
        signing_seed: bytes | None = None,
        account_seed: bytes | None = None,
    ) -> str:
        now = int(time.time())
        return user_jwt(
            self.rights(user, seed),
            account=public_key(account_seed or self.keys.account, KeyOf.ACCOUNT),
            signing_seed=signing_seed or self.keys.signing,
            name=user,
            issued=now,
            expires=now + lasts_s,
        )

    def shown(self, user: str, seed: bytes) -> CredentialSource:
        """Return what a user shows, signed anew for each connect."""
        return lambda: Credentials(seed, self.jwt(user, seed))


def with_include(document: dict[str, Any], trust: Path) -> str:
    """Return a configuration that includes another file: what is JSON has no word for that."""
    lines = [f"{name}: {json.dumps(value)}" for name, value in document.items()]
    return "\n".join([*lines, f"include {json.dumps(trust.name)}", ""])


class SignedUsersServer(NatsServer):
    """One server that knows the account, and none of its users."""

    def __init__(self, directory: Path, users: SignedUsers) -> None:
        config = NatsConfig(
            server_name="signed",
            port=free_port(),
            monitor_port=free_port(),
            store=directory / "store",
            log=directory / "nats.log",
            max_store_bytes=1 << 42,
        )
        super().__init__(directory, config)
        self.users = users

    def write_config(self) -> Path:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        trust, path = self.directory / "auth.conf", self.directory / "nats.conf"
        trust.write_text(self.users.trust)
        path.write_text(with_include(json.loads(render(self.config)), trust))
        check_config(path)
        return path
