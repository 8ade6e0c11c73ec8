"""What JetStream answers, in the words of the event log."""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from services.chassis.eventlog.port import (
    EventLogError,
    EventTooLarge,
    LogFull,
    LoggedEvent,
    LogRefused,
    LogUnavailable,
    NotPermitted,
    WrongExpectedSequence,
)
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.errors import NatsError, NoResponders, PayloadTooLarge, PermissionDenied, Unavailable

#: Key of a stream's metadata that names its incarnation.
INCARNATION_KEY: Final = "naisho-incarnation"

CONSUMER_NOT_FOUND: Final = 10014
NO_MESSAGE_FOUND: Final = 10037
STREAM_NOT_FOUND: Final = 10059
_WRONG_SEQUENCE: Final = frozenset({10071, 10164})
_TOO_LARGE: Final = 10054
#: Stream at its ``max_bytes`` or ``max_msgs``, account or server without storage.
_FULL: Final = frozenset({10023, 10028, 10047, 10077, 10110})
#: Ingest queue full.
_BUSY: Final = frozenset({10167})
_SECOND_NS: Final = 1_000_000_000
_HEADER: Final = re.compile(rb"\r\nNats-(Subject|Sequence|Time-Stamp): ([^\r]*)")
#: How long the first of several tries waits for its answer, and the pause behind one that is answered "not now".
_FIRST_TRY_S: Final = 0.5
_PAUSE_S: Final = 0.1
_NOT_FOUND: Final = b"NATS/1.0 404"


class NotNow(LogUnavailable):
    """Nothing was done, and that may change at any moment: nobody leads the stream, or another append comes first."""

    def __init__(self, text: str) -> None:
        super().__init__(text, maybe_stored=False)


def translate(error: NatsError) -> EventLogError:
    """Return the event log's word for a failure of the connection."""
    if isinstance(error, PermissionDenied):
        return NotPermitted("these NATS credentials do not allow this; see the user's permissions")
    if isinstance(error, PayloadTooLarge):
        return EventTooLarge(error.limit)
    if isinstance(error, NoResponders):
        return NotNow("no log listens there; has its stream been made?")
    if isinstance(error, Unavailable):
        return LogUnavailable(str(error), maybe_stored=error.maybe_sent)
    return LogUnavailable(str(error))


def checked(payload: bytes) -> Any:
    """Return the JSON object of an answer of JetStream.

    Raises:
        EventLogError: it is an error, or no JSON object.
    """
    try:
        answer = orjson.loads(payload)
    except ValueError as error:
        raise LogUnavailable("the log's answer cannot be read") from error
    if not isinstance(answer, dict):
        raise LogUnavailable("the log's answer cannot be read")
    problem = answer.get("error")
    if problem is not None:
        raise _refusal(problem if isinstance(problem, dict) else {})
    return answer


def sequence_of(payload: bytes) -> int:
    """Return the sequence that an acknowledgement names.

    Raises:
        EventLogError: it is no acknowledgement.
    """
    answer = checked(payload)
    sequence = answer.get("seq")
    if not isinstance(sequence, int) or sequence < 1:
        raise LogUnavailable("the log's acknowledgement names no sequence")
    return sequence


def _refusal(problem: dict[str, Any]) -> EventLogError:
    code = problem.get("err_code")
    code = code if isinstance(code, int) else 0
    text = str(problem.get("description", ""))
    if code in _WRONG_SEQUENCE:
        number = text.rsplit(" ", 1)[-1]
        if number.isdigit():
            return WrongExpectedSequence(int(number))
        return NotNow("another append on this subject is under way; try again")
    if code in _FULL:
        return LogFull("the log has reached its size limit; raise it, or let events expire")
    if code == _TOO_LARGE:
        return EventTooLarge(0)
    if code in _BUSY or problem.get("code") == 503:  # noqa: PLR2004 - HTTP's "service unavailable"
        return NotNow(f"the log cannot answer now ({code})")
    return LogRefused(code, text)


async def ask(connection: NatsConnection, what: str, body: Any = None, *, timeout_s: float | None = None) -> Any:
    """Send one request to ``$JS.API.<what>`` and return the answer's JSON.

    Args:
        connection: of a user who may.
        what: the call.
        body: its argument, if any.
        timeout_s: bound of the answer, by default the connection's.

    Raises:
        EventLogError: refused, or no answer within the bound.
    """
    try:
        payload = b"" if body is None else orjson.dumps(body)
        reply = await connection.request(f"$JS.API.{what}", payload, timeout_s=timeout_s)
    except NatsError as error:
        raise translate(error) from error
    return checked(reply.payload)


async def inquire(connection: NatsConnection, what: str, body: Any = None) -> Any:
    """Ask what changes nothing, again and again within the bound of a request: who leads answers, and may have changed.

    Servers that do not lead what is asked about leave a request unanswered, also the one that leads it a moment later.

    Raises:
        EventLogError: refused, or no answer within the bound.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + connection.request_timeout_s
    patience = _FIRST_TRY_S
    while True:
        began = loop.time()
        left = until - began
        try:
            return await ask(connection, what, body, timeout_s=min(patience, left))
        except LogUnavailable as error:
            if isinstance(error, NotNow):
                await asyncio.sleep(min(began + _PAUSE_S, until) - loop.time())
            elif not error.maybe_stored:
                raise  # not connected
            if until - loop.time() < _PAUSE_S:
                raise
        patience *= 2


def stored_event(headers: bytes | None, payload: bytes) -> LoggedEvent | None:
    """Read the answer of ``DIRECT.GET``; ``None`` if there is no such event.

    Raises:
        LogUnavailable: it is neither.
    """
    if headers is not None and headers.startswith(_NOT_FOUND):
        return None
    found = dict(_HEADER.findall(headers or b""))
    try:
        return LoggedEvent(
            int(found[b"Sequence"]), found[b"Subject"].decode(), payload, _nanoseconds(found[b"Time-Stamp"].decode())
        )
    except (KeyError, ValueError, OverflowError) as error:
        raise LogUnavailable("the log's answer to a read cannot be understood") from error


async def leaders_event(connection: NatsConnection, stream: str, what: dict[str, Any]) -> LoggedEvent | None:
    """Ask the leader of a stream for one event; ``None`` if there is no such event.

    Args:
        connection: of a user who may.
        stream: its name.
        what: ``seq``, ``last_by_subj``, or ``start_time`` with ``next_by_subj``.

    Raises:
        EventLogError: refused, or no answer within the bound.
    """
    try:
        answer = await inquire(connection, f"STREAM.MSG.GET.{stream}", what)
    except LogRefused as refusal:
        if refusal.code == NO_MESSAGE_FOUND:
            return None
        raise
    try:
        found = answer["message"]
        payload = b64decode(found.get("data", ""), validate=True)
        return LoggedEvent(int(found["seq"]), str(found["subject"]), payload, _nanoseconds(found["time"]))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise LogUnavailable("the log's answer to a read cannot be understood") from error


def _nanoseconds(text: str) -> int:
    """Read RFC 3339 with up to nine digits behind the point, in UTC."""
    whole, _, rest = text.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return seconds * _SECOND_NS + int(rest.ljust(9, "0") or 0)


def timestamp(time_ns: int) -> str:
    """Write nanoseconds since 1970 as RFC 3339."""
    seconds, rest = divmod(time_ns, _SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
