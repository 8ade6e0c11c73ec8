"""Reading what a swarm's member answers, and deciding what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, NamedTuple

import orjson

from naisho.errors import BadAnswer, ClockWrong, NaishoError, Overloaded, RequestRefused, WrongSwarm
from naisho.network.words import plain_words
from naisho.protocol.encoding import from_hex
from naisho.protocol.errors import BadEncoding


class Verdict(Enum):
    """What to do about an answer (wire 5.7)."""

    DONE = auto()
    #: Another member may do better.
    NEXT_MEMBER = auto()
    #: The swarm is another one: look again, ask once more.
    LOOK_AGAIN = auto()
    #: Learn the network's time, sign anew, ask once more.
    SET_CLOCK = auto()
    #: No other member would say anything else.
    REFUSED = auto()


class Answer(NamedTuple):
    """A member's answer: its JSON object, empty unless the verdict is DONE, and the error to raise otherwise."""

    verdict: Verdict
    body: Mapping[str, Any]
    error: NaishoError


def read_answer(status: int, body: Any) -> Answer:
    """Return what the sealed reply of a member means.

    A batch whose parts all carry the same failure counts as that failure as a whole (wire 3.7).
    """
    value = _json(body)
    parts = value.get("results") if isinstance(value, Mapping) else None
    if status == 200 and isinstance(parts, list) and (code := _common_failure(parts)) is not None:  # noqa: PLR2004 - OK
        return read_answer(code, parts[0].get("body"))
    if status == 200:  # noqa: PLR2004 - as above
        if isinstance(value, Mapping):
            return Answer(Verdict.DONE, value, BadAnswer(reason="none"))
        return Answer(Verdict.NEXT_MEMBER, {}, BadAnswer(reason="no JSON object"))
    return Answer(_verdict(status), value if isinstance(value, Mapping) else {}, _error(status, body))


def listed_members(body: Mapping[str, Any]) -> list[bytes]:
    """Return the Ed25519 keys of the nodes in the body of a 421; some may be strangers to the directory."""
    nodes = body.get("snodes")
    keys = []
    for node in nodes if isinstance(nodes, list) else ():
        try:
            keys.append(from_hex(node.get("pubkey_ed25519") if isinstance(node, Mapping) else None, 32))
        except BadEncoding:
            continue
    return keys


def parts_of(body: Mapping[str, Any], count: int) -> list[Mapping[str, Any]]:
    """Return the bodies of a batch's parts, all of which must have succeeded.

    Raises:
        BadAnswer: not that many parts, or a part without code and body.
        NaishoError: a part's own failure.
    """
    results = body.get("results")
    if not isinstance(results, list) or len(results) != count:
        raise BadAnswer(reason="wrong number of results")
    bodies = []
    for result in results:
        if not isinstance(result, Mapping) or type(result.get("code")) is not int:
            raise BadAnswer(reason="a result without code")
        answer = read_answer(result["code"], result.get("body"))
        if answer.verdict is not Verdict.DONE:
            raise answer.error
        bodies.append(answer.body)
    return bodies


def _common_failure(parts: list[Any]) -> int | None:
    """Return the status that all parts of a batch carry, if it is a failure."""
    codes = [part.get("code") if isinstance(part, Mapping) else None for part in parts]
    first = codes[0] if codes else None
    if type(first) is not int or 200 <= first < 300:  # noqa: PLR2004 - success
        return None
    return first if all(code == first for code in codes) else None


def _json(body: Any) -> Any:
    if not isinstance(body, str):
        return body
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _verdict(status: int) -> Verdict:
    if status == 421:  # noqa: PLR2004 - wire 3.7
        return Verdict.LOOK_AGAIN
    if status in {406, 425}:
        return Verdict.SET_CLOCK
    return Verdict.REFUSED if 400 <= status < 500 and status != 429 else Verdict.NEXT_MEMBER  # noqa: PLR2004 - wire 4.1


def _error(status: int, body: Any) -> NaishoError:
    text = plain_words(body)
    match status:
        case 421:
            return WrongSwarm()
        case 406 | 425:
            return ClockWrong(reason=text)
        case 429 | 503:
            return Overloaded()
        case _:
            return RequestRefused(status=status, reason=text)
