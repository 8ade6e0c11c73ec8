"""Reading many deliveries of a consumer at once: this runs for every followed event, so it works in columns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Final, NamedTuple, cast

from services.chassis.eventlog.port import LoggedEvent, LogUnavailable

#: $JS.ACK.<stream>.<consumer>.<tries>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>
_TOKENS: Final = 9
#: The longer form names domain and account first, and may have more at its end.
_LONG_EXTRA: Final = 2
_STREAM_SEQUENCE: Final = 5
#: Of a delivery as it is handed over: subject, reply subject, payload.
_FIELDS: Final = 3


class Deliveries(NamedTuple):
    """What a run of deliveries says, as far as it has no gap."""

    events: list[LoggedEvent]
    #: Consumer sequence of the last delivery before the gap, or of the last one.
    last: int
    #: How many events waited behind it.
    pending: int
    #: Whether a delivery is missing, or came out of turn.
    gap: bool


def read_deliveries(unread: Sequence[bytes], delivered: int) -> Deliveries:
    """Read deliveries that follow consumer sequence ``delivered``.

    Args:
        unread: subject, reply subject and payload of one delivery after the other, flat.
        delivered: the consumer sequence before the first of them.

    Raises:
        LogUnavailable: a reply subject is not one of a delivery.
    """
    try:
        if len(unread) == _FIELDS:
            return _read_one(unread, delivered)
        subjects, replies, payloads = unread[0::3], unread[1::3], unread[2::3]
        stream, consumer, times, pending = _columns(replies)
        good = len(replies)
        if consumer != list(range(delivered + 1, delivered + 1 + good)):
            expected = zip(count(), consumer, count(delivered + 1))
            good = next(at for at, number, wanted in expected if number != wanted)
        left = int(pending[good - 1]) if good else 0
        events = map(
            partial(tuple.__new__, LoggedEvent),  # what LoggedEvent(...) does, without a call of Python code per event
            zip(stream[:good], map(bytes.decode, subjects), payloads, times, strict=False),
        )
        return Deliveries(cast("list[LoggedEvent]", list(events)), delivered + good, left, good < len(replies))
    except (ValueError, IndexError) as error:
        raise LogUnavailable("the log's delivery cannot be read") from error


def _read_one(unread: Sequence[bytes], delivered: int) -> Deliveries:
    """Read a delivery that came alone, while somebody waits for it: columns of one cost several times as much."""
    subject, reply, payload = unread
    tokens = reply.split(b".")
    first = _STREAM_SEQUENCE
    if len(tokens) != _TOKENS:
        first += _LONG_EXTRA
        if len(tokens) < _TOKENS + _LONG_EXTRA:
            raise ValueError("no delivery")
    stream, consumer, time_ns, pending = tokens[first : first + 4]
    sequence, number, when = int(stream), int(consumer), int(time_ns)
    if number != delivered + 1:
        return Deliveries([], delivered, 0, gap=True)
    return Deliveries([LoggedEvent(sequence, subject.decode(), payload, when)], number, int(pending), gap=False)


def _columns(replies: Sequence[bytes]) -> tuple[list[int], list[int], list[int], list[bytes]]:
    """Return stream sequences, consumer sequences, times and (unread) pending counts."""
    tokens = b".".join(replies).split(b".")
    first, width = _STREAM_SEQUENCE, _TOKENS
    if len(tokens) != width * len(replies):
        first += _LONG_EXTRA
        width, odd = divmod(len(tokens), len(replies))
        if odd or width < _TOKENS + _LONG_EXTRA:
            raise ValueError("deliveries of several forms")
    return (
        list(map(int, tokens[first::width])),
        list(map(int, tokens[first + 1 :: width])),
        list(map(int, tokens[first + 2 :: width])),
        tokens[first + 3 :: width],
    )
