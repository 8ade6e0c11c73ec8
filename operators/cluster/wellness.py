"""Whether a pool is well, and if not, why: a list of problems (exit code 1) and one of warnings (exit code 0). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from naisho.protocol.directory.model import STALE_AFTER_MS, VALIDITY_MS

#: A directory with less left than this was not signed again when it should have been.
FRESH_FOR_S: Final = (VALIDITY_MS - STALE_AFTER_MS) // 1000
_NAMED: Final = 5
_QUIET: Final = ("Draining", "Drained", "Gone")


def judge(pool: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``problems``, ``warnings`` and ``well`` of a pool as `operators.cluster.description` describes it.

    Each entry has a ``code``, which is a key of the catalogs (``problems.…``, ``warnings.…``), and its values.
    """
    problems = list(_problems(pool))
    return {"problems": problems, "warnings": list(_warnings(pool)), "well": not problems}


def _problems(pool: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not pool["reported"]:
        yield {"code": "silent"}
    elif not pool["heard_of"]:
        yield {"code": "unheard"}
    yield from _ill_conditions(pool)
    yield from _ill_nodes(pool["nodes"])
    left = pool["directory_expires_in_s"]
    if left is not None and left < FRESH_FOR_S:
        yield {"code": "expired" if left <= 0 else "stale"}
    yield from _ill_servers(pool)


def _ill_nodes(nodes: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    silent = [node for node in nodes if node["state"] == "Unreachable"]
    if silent:
        yield {"code": "unreachable", **_named(silent)}
    unready = [node for node in nodes if node["state"] not in (*_QUIET, "Unreachable") and not node["ready"]]
    if unready:
        yield {"code": "unready", **_named(unready)}


def _ill_servers(pool: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for part in ("operator", "nats", "custodian"):
        down = [pod for pod in pool[part] or () if not pod["ready"]]
        if down:
            yield {"code": f"{part}_unready", **_named(down)}
    if pool["operator"] == []:
        yield {"code": "operator_missing"}
    if pool["leader"] is not None and not pool["leader"]["active"]:
        yield {"code": "no_leader", "holder": pool["leader"]["holder"] or "–"}


def _ill_conditions(pool: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    wanted = {"Ready": "True", "Degraded": "False", "MembershipAgreed": "True"}
    for condition in pool["conditions"]:
        well = wanted.get(condition["type"])
        if well is not None and condition["status"] != well:
            yield {
                "code": "condition",
                "type": condition["type"],
                "status": condition["status"],
                "reason": condition["reason"],
                "message": condition["message"],
            }


def _warnings(pool: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if pool["paused"]:
        yield {"code": "paused"}
    for condition in pool["conditions"]:
        if condition["type"] in ("ConfigurationWarning", "DrainRefused") and condition["status"] == "True":
            yield {
                "code": "condition",
                "type": condition["type"],
                "status": condition["status"],
                "reason": condition["reason"],
                "message": condition["message"],
            }


def _named(things: list[Mapping[str, Any]]) -> dict[str, Any]:
    names = [str(thing["name"]) for thing in things]
    shown = names if len(names) <= _NAMED else [*names[:_NAMED], "…"]
    return {"count": len(names), "names": ", ".join(shown)}
