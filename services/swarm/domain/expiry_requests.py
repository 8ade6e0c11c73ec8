"""``expire``, ``expire_all`` and ``get_expiries`` (wire 4.8)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from naisho.protocol import storage_texts
from naisho.protocol.limits import SIGNATURE_TOLERANCE_MS
from naisho.protocol.message_hash import hash_text
from naisho.protocol.subaccount import Rights
from services.swarm.domain import parameters
from services.swarm.domain.authentication import Credentials, check_signature, check_time, required_credentials
from services.swarm.domain.commands import Expire, ExpireAll
from services.swarm.domain.parameters import Params
from services.swarm.domain.ports import Refused


@dataclass(frozen=True, slots=True, repr=False)
class ExpireRequest:
    """A request to change the expiry of messages."""

    command: Expire
    credentials: Credentials

    @classmethod
    def parse(cls, params: Params) -> ExpireRequest:
        """Read the parameters; raises ``Refused`` with 400.

        ``extends`` is ``extend``: one client writes it so, and signs as for ``extend`` (wire 10, item 20).
        """
        account = parameters.account(params)
        hashes = parameters.message_hashes(params)
        expiry = parameters.required(params, "expiry")
        listed = isinstance(expiry, list)
        expiries = tuple(parameters.as_timestamp("expiry", value) for value in (expiry if listed else [expiry]))
        if listed and len(expiries) != len(hashes):
            raise parameters.wrong_type("expiry", "integer or array of integers, one for each message")
        shorten, extend = parameters.flag(params, "shorten"), parameters.flag(params, "extend", "extends")
        if shorten and extend:
            raise parameters.invalid("Cannot specify both 'shorten' and 'extend'")
        mode: storage_texts.ExpireMode = "shorten" if shorten else "extend" if extend else "any"
        command = Expire(account, hashes, expiries, mode, listed=listed)
        return cls(command, required_credentials(params, account))

    def checked(self, now_ms: int, revoked: Collection[bytes]) -> Expire:
        """Return the command if it is allowed; raises ``Refused`` with 400 or 401.

        A signer that may write but not delete only extends; asking to shorten expressly is refused.
        """
        command = self.command
        if min(command.expiries_ms) < now_ms - SIGNATURE_TOLERANCE_MS:
            raise Refused(401, "expire: timestamp should be >= current time")
        text = storage_texts.expire(command.expiries_ms, map(hash_text, command.hashes), command.mode)
        check_signature("expire", self.credentials, text, Rights.WRITE, revoked)
        if self.credentials.rights & Rights.DELETE:
            return command
        if command.mode == "shorten":
            raise parameters.invalid("'shorten' needs a subaccount with the right to delete")
        return replace(command, extend_only=True)


@dataclass(frozen=True, slots=True, repr=False)
class ExpireAllRequest:
    """A request to shorten the expiry of everything in a namespace or all of them."""

    command: ExpireAll
    credentials: Credentials

    @classmethod
    def parse(cls, params: Params) -> ExpireAllRequest:
        """Read the parameters; raises ``Refused`` with 400."""
        account = parameters.account(params)
        expiry = parameters.timestamp(params, "expiry")
        command = ExpireAll(account, parameters.namespaces(params), expiry)
        return cls(command, required_credentials(params, account))

    def checked(self, now_ms: int, revoked: Collection[bytes]) -> ExpireAll:
        """Return the command if it is allowed; raises ``Refused`` with 401 or 406."""
        command = self.command
        if command.expiry_ms < now_ms - SIGNATURE_TOLERANCE_MS:
            raise Refused(406, "expire_all timestamp should be >= current time")
        text = storage_texts.expire_all(command.namespace, command.expiry_ms)
        check_signature("expire_all", self.credentials, text, Rights.DELETE, revoked)
        return command


@dataclass(frozen=True, slots=True, repr=False)
class GetExpiriesRequest:
    """A request for the expiry of messages."""

    account: bytes
    hashes: tuple[bytes, ...]
    timestamp_ms: int
    credentials: Credentials

    @classmethod
    def parse(cls, params: Params) -> GetExpiriesRequest:
        """Read the parameters; raises ``Refused`` with 400."""
        account = parameters.account(params)
        hashes = parameters.message_hashes(params)
        timestamp = parameters.timestamp(params, "timestamp")
        return cls(account, hashes, timestamp, required_credentials(params, account))

    def check(self, now_ms: int, revoked: Collection[bytes]) -> None:
        """Refuse the request if it is not allowed, with 401 or 406."""
        check_time("get_expiries", self.timestamp_ms, now_ms)
        text = storage_texts.get_expiries(self.timestamp_ms, map(hash_text, self.hashes))
        check_signature("get_expiries", self.credentials, text, Rights.READ, revoked)
