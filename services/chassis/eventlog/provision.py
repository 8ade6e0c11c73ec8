"""What only the membership authority may do: make streams and followers."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.chassis.eventlog import jetstream_api as api
from services.chassis.eventlog.port import LogFull, LogRefused
from services.chassis.eventlog.subjects import check_name, check_patterns
from services.chassis.nats.connection import NatsConnection

_DUPLICATE_WINDOW_NS: Final = 100_000_000  # the shortest allowed: duplicates are kept out by expected sequences


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """A stream as it should be. It never drops events for want of space and never for age alone.

    Attributes:
        name: upper-case name, e.g. ``MAIL_n-3f9c2a``.
        subjects: patterns of the subjects it stores.
        max_bytes: beyond it appends raise ``LogFull``.
        max_event_bytes: most bytes of one event, headers included.
        replicas: 1, or 3 on a cluster.
        events_per_subject: the newest so many of a subject are kept; ``None`` keeps all.
    """

    name: str
    subjects: tuple[str, ...]
    max_bytes: int
    max_event_bytes: int
    replicas: int = 1
    events_per_subject: int | None = None

    def config(self, incarnation: str) -> dict[str, Any]:
        """Return the stream's settings in JetStream's terms."""
        return {
            "name": self.name,
            "subjects": list(self.subjects),
            "storage": "file",
            "retention": "limits",
            "discard": "new",
            "max_bytes": self.max_bytes,
            "max_msg_size": self.max_event_bytes,
            "max_msgs_per_subject": self.events_per_subject or -1,
            "max_age": 0,
            "num_replicas": self.replicas,
            "allow_direct": True,
            "allow_msg_ttl": True,
            "allow_atomic": True,  # appends may share a batch
            "deny_purge": True,
            "duplicate_window": _DUPLICATE_WINDOW_NS,
            "metadata": {api.INCARNATION_KEY: incarnation},
        }


async def ensure_stream(connection: NatsConnection, plan: StreamPlan) -> bool:
    """Make the stream, or bring its settings to the plan; its incarnation stays.

    Returns:
        Whether it is as planned; if not, account or disks have no room for a larger one, and it stays as it was.

    Raises:
        LogFull: there is no stream, and no room for one.
        EventLogError: refused, or no answer within the bound.
    """
    check_name(plan.name)
    check_patterns(plan.subjects)
    try:
        info = await api.inquire(connection, f"STREAM.INFO.{plan.name}")
    except LogRefused as refusal:
        if refusal.code != api.STREAM_NOT_FOUND:
            raise
        await api.ask(connection, f"STREAM.CREATE.{plan.name}", plan.config(secrets.token_hex(16)))
        return True
    current = info["config"]
    incarnation = (current.get("metadata") or {}).get(api.INCARNATION_KEY) or secrets.token_hex(16)
    wanted = plan.config(incarnation)
    if any(current.get(key) != value for key, value in wanted.items() if key != "metadata"):
        try:
            await api.ask(connection, f"STREAM.UPDATE.{plan.name}", wanted)
        except LogFull:
            return False
    return True


async def ensure_follower(connection: NatsConnection, stream: str, name: str, subjects: Sequence[str]) -> None:
    """Make a follower's consumer; one that follows other subjects is replaced, and its reader notices.

    Raises:
        EventLogError: refused, or no answer within the bound.
    """
    check_name(name)
    check_patterns(subjects)
    try:
        info = await api.inquire(connection, f"CONSUMER.INFO.{stream}.{name}")
    except LogRefused as refusal:
        if refusal.code != api.CONSUMER_NOT_FOUND:
            raise
    else:
        if sorted(info["config"].get("filter_subjects") or ()) == sorted(subjects):
            return
        await remove_follower(connection, stream, name)
    config = {
        "durable_name": name,
        "name": name,
        "deliver_policy": "all",
        "replay_policy": "instant",
        "ack_policy": "none",
        "max_deliver": -1,
        "max_waiting": 16,
        "filter_subjects": list(subjects),
        # Every delivery changes what the servers remember of a consumer. Its reader trusts none of that (see
        # jetstream_follower): where several servers remember it, it need not be on their disks. One alone would forget
        # the consumer itself with it.
        "mem_storage": await _replicas(connection, stream) > 1,
    }
    await api.ask(
        connection,
        f"CONSUMER.CREATE.{stream}.{name}",
        {"stream_name": stream, "action": "create", "config": config},
    )


async def _replicas(connection: NatsConnection, stream: str) -> int:
    info = await api.inquire(connection, f"STREAM.INFO.{stream}")
    return int(info["config"].get("num_replicas", 1))


async def remove_follower(connection: NatsConnection, stream: str, name: str) -> bool:
    """Take a follower's consumer away; false if there was none.

    Raises:
        EventLogError: refused, or no answer within the bound.
    """
    try:
        await api.ask(connection, f"CONSUMER.DELETE.{stream}.{name}")
    except LogRefused as refusal:
        if refusal.code != api.CONSUMER_NOT_FOUND:
            raise
        return False
    return True


async def followers(connection: NatsConnection, stream: str) -> list[str]:
    """Return the names of all followers of a stream, sorted.

    Raises:
        EventLogError: refused, or no answer within the bound.
    """
    names: list[str] = []
    while True:
        answer = await api.inquire(connection, f"CONSUMER.NAMES.{stream}", {"offset": len(names)})
        page = answer.get("consumers") or []
        names += page
        if not page or len(names) >= int(answer["total"]):
            return sorted(names)
