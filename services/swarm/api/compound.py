"""Methods that hold other requests: ``batch``, ``sequence``, ``ifelse`` (wire 4.11)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from naisho.protocol.limits import MAX_BATCH
from naisho.protocol.service_nodes import HARD_FORK
from services.swarm.api.answers import Answer
from services.swarm.domain import parameters
from services.swarm.domain.parameters import Params

BATCHES: Final = frozenset({"batch", "sequence"})
COMPOUND: Final = BATCHES | {"ifelse"}

_ENTRY: Final = "object with 'method' and 'params'"
_SUCCESS: Final = range(200, 300)


class SubRequest(NamedTuple):
    """One request within another."""

    method: str
    params: Params


#: Runs one request that is no batch to its answer; never raises ``Refused``.
Run: TypeAlias = Callable[[SubRequest], Coroutine[Any, Any, Answer]]
#: Runs several stores to their answers; never raises ``Refused``.
StoreAll: TypeAlias = Callable[[Sequence[Params]], Coroutine[Any, Any, Sequence[Answer]]]


async def batch(requests: Sequence[SubRequest], run: Run, store_all: StoreAll) -> Answer:
    """Run all requests at the same time, stores together; results in the requests' order."""
    stores = [number for number, request in enumerate(requests) if request.method == "store"]
    if len(stores) == 1:
        stores.clear()
    answers: dict[int, Answer] = {}
    async with asyncio.TaskGroup() as group:
        tasks = {n: group.create_task(run(requests[n])) for n in range(len(requests)) if n not in stores}
        if stores:
            answers.update(zip(stores, await store_all([requests[n].params for n in stores]), strict=True))
    answers.update((number, task.result()) for number, task in tasks.items())
    return Answer(200, {"results": [answers[number].part() for number in range(len(requests))]})


async def sequence(params: Params, run: Run) -> Answer:
    """Run requests one after the other up to the first that fails, whose result is the last one."""
    results: list[dict[str, Any]] = []
    for request in sub_requests(params):
        answer = await run(request)
        results.append(answer.part())
        if answer.status not in _SUCCESS:
            break
    return Answer(200, {"results": results})


async def ifelse(params: Params, run: Run, *, version: Sequence[int], height: int) -> Answer:
    """Run one of two requests, which may be batches, by what this node and its network are.

    Args:
        params: ``if`` (conditions that must all hold), ``then``, ``else``.
        run: runs the chosen one.
        version: this node's version.
        height: the network's height.
    """
    condition = _holds(parameters.required(params, "if"), version, height)
    branches = {
        name: _sub_request(name, value, COMPOUND - BATCHES)
        for name in ("then", "else")
        if (value := params.get(name)) is not None
    }
    if not branches:
        raise parameters.invalid("Required field 'then' missing")
    body: dict[str, Any] = {"hf": HARD_FORK, "v": version, "height": height, "condition": condition}
    chosen = branches.get("then" if condition else "else")
    if chosen is not None:
        body["result"] = (await run(chosen)).part()
    return Answer(200, body)


def sub_requests(params: Params) -> list[SubRequest]:
    """Return the requests of a batch or sequence.

    Raises:
        Refused: 400, there are none or too many, or one is none.
    """
    values = parameters.required(params, "requests")
    values = values if isinstance(values, list) else [values]
    if not 1 <= len(values) <= MAX_BATCH:
        raise parameters.wrong_type("requests", f"array of 1 to {MAX_BATCH} requests")
    return [_sub_request("requests", value, COMPOUND) for value in values]


def _sub_request(name: str, value: Any, forbidden: Collection[str]) -> SubRequest:
    if not isinstance(value, dict):
        raise parameters.wrong_type(name, _ENTRY)
    method, params = value.get("method"), value.get("params")
    if not isinstance(method, str) or not isinstance(params, dict):
        raise parameters.wrong_type(name, _ENTRY)
    if method in forbidden:
        raise parameters.invalid(f"'{method}' is not allowed inside another request")
    return SubRequest(method, params)


def _holds(conditions: Any, version: Sequence[int], height: int) -> bool:
    if not isinstance(conditions, dict):
        raise parameters.wrong_type("if", "object of conditions")
    now: Mapping[str, Sequence[int]] = {"hf": HARD_FORK, "v": version, "height": (height,)}
    outcomes: list[bool] = []
    for subject, actual in now.items():
        for relation, at_least in (("at_least", True), ("before", False)):
            name = f"{subject}_{relation}"
            if (value := conditions.get(name)) is not None:
                wanted = _numbers(name, value, len(actual))
                outcomes.append((tuple(actual) >= wanted) == at_least)
    if not outcomes:
        raise parameters.wrong_type("if", "at least one of hf_, v_, height_ with at_least or before")
    return all(outcomes)


def _numbers(name: str, value: Any, count: int) -> tuple[int, ...]:
    values = [value] if count == 1 and not isinstance(value, list) else value
    if not isinstance(values, list) or len(values) != count or any(type(number) is not int for number in values):
        raise parameters.wrong_type(name, "integer" if count == 1 else f"array of {count} integers")
    return tuple(values)
