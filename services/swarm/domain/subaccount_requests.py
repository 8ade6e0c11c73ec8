"""``revoke_subaccount``, ``unrevoke_subaccount`` and ``revoked_subaccounts`` (wire 4.9): for the owner alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from naisho.protocol import storage_texts
from naisho.protocol.subaccount import Rights
from services.swarm.domain import parameters
from services.swarm.domain.authentication import Credentials, check_signature, check_time, owner_credentials
from services.swarm.domain.commands import Revoke, Unrevoke
from services.swarm.domain.parameters import Params


@dataclass(frozen=True, slots=True, repr=False)
class RevokeRequest:
    """A request to revoke subaccount tokens."""

    command: Revoke
    credentials: Credentials

    @classmethod
    def parse(cls, params: Params) -> RevokeRequest:
        """Read the parameters; raises ``Refused`` with 400."""
        account = parameters.account(params)
        tokens = parameters.tokens(params, "revoke")
        timestamp = parameters.timestamp(params, "timestamp")
        return cls(Revoke(account, tokens, timestamp), owner_credentials(params, account))

    def checked(self, now_ms: int, revoked: Collection[bytes]) -> Revoke:
        """Return the command if it is allowed; raises ``Refused`` with 401 or 406."""
        command = self.command
        check_time("revoke_subaccount", command.timestamp_ms, now_ms)
        text = storage_texts.revoke_subaccount(command.timestamp_ms, command.tokens)
        check_signature("revoke_subaccount", self.credentials, text, Rights.NONE, revoked)
        return command


@dataclass(frozen=True, slots=True, repr=False)
class UnrevokeRequest:
    """A request to take revocations back."""

    command: Unrevoke
    credentials: Credentials

    @classmethod
    def parse(cls, params: Params) -> UnrevokeRequest:
        """Read the parameters; raises ``Refused`` with 400."""
        account = parameters.account(params)
        tokens = parameters.tokens(params, "unrevoke")
        timestamp = parameters.timestamp(params, "timestamp")
        return cls(Unrevoke(account, tokens, timestamp), owner_credentials(params, account))

    def checked(self, now_ms: int, revoked: Collection[bytes]) -> Unrevoke:
        """Return the command if it is allowed; raises ``Refused`` with 401 or 406."""
        command = self.command
        check_time("unrevoke_subaccount", command.timestamp_ms, now_ms)
        text = storage_texts.unrevoke_subaccount(command.timestamp_ms, command.tokens)
        check_signature("unrevoke_subaccount", self.credentials, text, Rights.NONE, revoked)
        return command


@dataclass(frozen=True, slots=True, repr=False)
class RevokedRequest:
    """A request for the list of revoked tokens."""

    account: bytes
    timestamp_ms: int
    credentials: Credentials

    @classmethod
    def parse(cls, params: Params) -> RevokedRequest:
        """Read the parameters; raises ``Refused`` with 400."""
        account = parameters.account(params)
        timestamp = parameters.timestamp(params, "timestamp")
        return cls(account, timestamp, owner_credentials(params, account))

    def check(self, now_ms: int) -> None:
        """Refuse the request if it is not allowed, with 401 or 406."""
        check_time("revoked_subaccounts", self.timestamp_ms, now_ms)
        text = storage_texts.revoked_subaccounts(self.timestamp_ms)
        check_signature("revoked_subaccounts", self.credentials, text, Rights.NONE, ())
