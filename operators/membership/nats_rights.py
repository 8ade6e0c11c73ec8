"""What each NATS user of a network may do: lists of subjects, and nothing that is not listed (docs/adr/0005).

The rights are the same whether a server reads them from its configuration or from the user's JWT. Nodes may not make
consumers: whoever may, may have messages delivered to any subject of the account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.chassis.eventlog.subjects import check_name
from services.chassis.nats.names import NetworkNames

#: How long an answer may be given by those who may answer, in seconds; once for each request.
ANSWER_WITHIN_S: Final = 10


@dataclass(frozen=True, slots=True)
class NatsUser:
    """One user: the public half of its key, and what it may do.

    Attributes:
        public_key: text form, ``U…``.
        publish: patterns it may publish to.
        subscribe: patterns it may subscribe to.
        answers: whether it may answer requests, once each, within ``ANSWER_WITHIN_S``.
    """

    public_key: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    answers: bool = False


def inbox_prefix(user: str) -> str:
    """Return where a user's answers arrive; one per user, so that nobody reads another's."""
    check_name(user)
    return f"_INBOX.{user}"


def node_user(
    names: NetworkNames,
    node: str,
    public_key: str,
    *,
    shards: Sequence[int] | None = None,
    followers: Sequence[str] | None = None,
) -> NatsUser:
    """Return the rights of a swarm node.

    It appends mailbox events and body keys, reads the three streams, pulls from the consumers that the authority made
    in its name, sends receipts and its own heartbeat. It neither makes consumers nor deletes.

    Args:
        names: the network's.
        node: the node's name in subjects, which is the hex of its key; its inbox is ``inbox_prefix(node)``.
        public_key: text form of the user's key.
        shards: the shards whose mailboxes it may append to; ``None`` for all.
        followers: names of its consumers, which nobody else's may have in any stream; ``None`` for those that the
            authority makes for a node.
    """
    appends = (names.swarm,) if shards is None else tuple(names.shard(shard) for shard in shards)
    return NatsUser(
        public_key,
        publish=(
            *appends,
            names.keys,
            names.receipts,
            names.announce,
            names.heartbeat(node),
            # Whatever the stream, a consumer of this name is the node's. One pattern for all keeps a JWT short.
            *_follow("*", names.followers(node) if followers is None else followers),
            *_read(names),
        ),
        subscribe=(f"{inbox_prefix(node)}.>", *names.swarm_talk, names.receipts_for(node), names.directory),
    )


def authority_user(names: NetworkNames, public_key: str, *, user: str = "authority") -> NatsUser:
    """Return the rights of the membership authority: it makes streams and consumers, and writes the directory.

    Of events it reads those of membership alone, and it pulls from none of the consumers that it makes.
    """
    return NatsUser(
        public_key,
        publish=(
            names.directory,
            names.membership_events,
            *(f"$JS.API.STREAM.{call}.{stream}" for call in ("CREATE", "UPDATE", "INFO") for stream in _streams(names)),
            *(
                f"$JS.API.CONSUMER.{call}.{stream}.*"
                for call in ("CREATE", "DELETE", "INFO")
                for stream in _streams(names)
            ),
            *(f"$JS.API.CONSUMER.NAMES.{stream}" for stream in _streams(names)),
            *_get(names.membership_stream),
        ),
        subscribe=(f"{inbox_prefix(user)}.>", names.announce, names.heartbeats, names.drain, names.directory),
        answers=True,
    )


def custodian_user(names: NetworkNames, public_key: str, *, user: str = "custodian") -> NatsUser:
    """Return the rights of the custodian: it follows mail as ``user`` and alone may erase."""
    return NatsUser(
        public_key,
        publish=(
            *(f"$JS.API.STREAM.MSG.DELETE.{stream}" for stream in (names.mail_stream, names.keys_stream)),
            *(call for stream in (names.mail_stream, names.keys_stream) for call in _follow(stream, (user,))),
            *_read(names),
        ),
        subscribe=(f"{inbox_prefix(user)}.>", names.directory),
    )


def _streams(names: NetworkNames) -> tuple[str, str, str]:
    return names.mail_stream, names.keys_stream, names.membership_stream


def _read(names: NetworkNames) -> tuple[str, ...]:
    return (
        *(call for stream in _streams(names) for call in (f"$JS.API.STREAM.INFO.{stream}", *_get(stream))),
        # Any copy's newest directory will do: an older one is recognised as such.
        f"$JS.API.DIRECT.GET.{names.membership_stream}.{names.directory}",
    )


def _get(stream: str) -> tuple[str, str]:
    """Return how single events are read: of one server, and of the leader where several hold the stream."""
    return f"$JS.API.DIRECT.GET.{stream}", f"$JS.API.STREAM.MSG.GET.{stream}"


def _follow(stream: str, followers: Sequence[str]) -> tuple[str, ...]:
    for follower in followers:
        check_name(follower)
    return tuple(
        f"$JS.API.CONSUMER.{call}.{stream}.{follower}"
        for call in ("MSG.NEXT", "RESET", "INFO")
        for follower in followers
    )
