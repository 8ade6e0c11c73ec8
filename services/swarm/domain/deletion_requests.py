"""``delete``, ``delete_all`` and ``delete_before`` (wire 4.8)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from naisho.protocol import storage_texts
from naisho.protocol.limits import SIGNATURE_TOLERANCE_MS
from naisho.protocol.message_hash import hash_text
from naisho.protocol.subaccount import Rights
from services.swarm.domain import parameters
from services.swarm.domain.authentication import Credentials, check_signature, check_time, required_credentials
from services.swarm.domain.commands import Delete, DeleteAll, DeleteBefore
from services.swarm.domain.parameters import Params
from services.swarm.domain.ports import Refused


@dataclass(frozen=True, slots=True, repr=False)
class DeleteRequest:
    """A request to delete messages by hash."""

    command: Delete
    #: Answer 404 if nothing was found.
    required: bool
    credentials: Credentials

    @classmethod
    def parse(cls, params: Params) -> DeleteRequest:
        """Read the parameters; raises ``Refused`` with 400."""
        account = parameters.account(params)
        hashes = parameters.message_hashes(params)
        required = parameters.flag(params, "required")
        return cls(Delete(account, hashes), required, required_credentials(params, account))

    def checked(self, _now_ms: int, revoked: Collection[bytes]) -> Delete:
        """Return the command if it is allowed; raises ``Refused`` with 401."""
        text = storage_texts.delete(map(hash_text, self.command.hashes))
        check_signature("delete", self.credentials, text, Rights.DELETE, revoked)
        return self.command


@dataclass(frozen=True, slots=True, repr=False)
class DeleteAllRequest:
    """A request to delete everything in a namespace or all of them."""

    command: DeleteAll
    credentials: Credentials

    @classmethod
    def parse(cls, params: Params) -> DeleteAllRequest:
        """Read the parameters; raises ``Refused`` with 400."""
        account = parameters.account(params)
        timestamp = parameters.timestamp(params, "timestamp")
        command = DeleteAll(account, parameters.namespaces(params), timestamp)
        return cls(command, required_credentials(params, account))

    def checked(self, now_ms: int, revoked: Collection[bytes]) -> DeleteAll:
        """Return the command if it is allowed; raises ``Refused`` with 401 or 406."""
        command = self.command
        check_time("delete_all", command.timestamp_ms, now_ms)
        text = storage_texts.delete_all(command.namespace, command.timestamp_ms)
        check_signature("delete_all", self.credentials, text, Rights.DELETE, revoked)
        return command


@dataclass(frozen=True, slots=True, repr=False)
class DeleteBeforeRequest:
    """A request to delete messages up to a time of their own."""

    command: DeleteBefore
    credentials: Credentials

    @classmethod
    def parse(cls, params: Params) -> DeleteBeforeRequest:
        """Read the parameters; raises ``Refused`` with 400."""
        account = parameters.account(params)
        before = parameters.timestamp(params, "before")
        command = DeleteBefore(account, parameters.namespaces(params), before)
        return cls(command, required_credentials(params, account))

    def checked(self, now_ms: int, revoked: Collection[bytes]) -> DeleteBefore:
        """Return the command if it is allowed; raises ``Refused`` with 401."""
        command = self.command
        if command.before_ms > now_ms + SIGNATURE_TOLERANCE_MS:
            raise Refused(401, "delete_before timestamp too far in the future")
        text = storage_texts.delete_before(command.namespace, command.before_ms)
        check_signature("delete_before", self.credentials, text, Rights.DELETE, revoked)
        return command
