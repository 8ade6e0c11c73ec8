"""Answers of storage methods before they get their bytes."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import orjson

from naisho.protocol.encoding import to_base64
from services.chassis.packed import Reply
from services.swarm.domain.ports import Refused, SwarmAnswer

#: A JSON object, the text of an error, or raw octets.
Body: TypeAlias = dict[str, Any] | str | bytes


class Answer(NamedTuple):
    """Status and body of one method's answer."""

    status: int
    body: Body

    def reply(self, *, onion: bool) -> Reply:
        """Give it its bytes; raw octets travel as base64 text inside an onion (wire 2.4)."""
        body = self.body
        if isinstance(body, dict):
            return Reply(self.status, orjson.dumps(body))
        if isinstance(body, str):
            return Reply(self.status, body.encode())
        if onion:
            return Reply(self.status, to_base64(body).encode())
        return Reply(self.status, body, binary=True)

    def part(self) -> dict[str, Any]:
        """Return it as one result of a compound method (wire 4.11)."""
        body = self.body
        return {"code": self.status, "body": to_base64(body) if isinstance(body, bytes) else body}


def refusal(refused: Refused) -> Answer:
    """Return the answer that a refusal amounts to."""
    return Answer(refused.status, refused.body)


def recursive(answer: SwarmAnswer, **extra: Any) -> Answer:
    """Return all members' results: 200 if any member succeeded, else 500 (wire 4.3)."""
    succeeded = any("failed" not in member for member in answer.members.values())
    return Answer(200 if succeeded else 500, {"swarm": answer.members, **extra})
