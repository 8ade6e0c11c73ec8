"""``naisho cluster status`` for people: what is wrong first, then everything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from naisho.cli.output import plain
from naisho.texts import Texts
from operators.cluster.times import spell_duration

_COLOURS: Final = {
    "Active": "green",
    "Unreachable": "red",
    "Drained": "dim",
    "Gone": "dim",
}
#: Conditions whose "True" is bad news.
_ILL_IF_TRUE: Final = ("Degraded", "ConfigurationWarning", "DrainRefused")
#: Conditions that say what goes on, whatever their status.
_NEITHER: Final = ("Progressing",)


def cluster_screen(texts: Texts, status: Mapping[str, Any]) -> Group:
    """Return the screen of a status as `operators.cluster.description` describes it."""
    parts: list[RenderableType] = [_pool_screen(texts, pool) for pool in status["pools"]]
    if status["unseen"]:
        parts.append(Text(texts("screen.unseen", names=", ".join(status["unseen"])), style="dim"))
    return Group(*parts)


def _pool_screen(texts: Texts, pool: Mapping[str, Any]) -> Panel:
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, fact in _facts(texts, pool):
        facts.add_row(texts(f"facts.{name}"), fact)
    parts: list[RenderableType] = [
        *_findings(texts, "problems", pool["problems"], "✗", "red"),
        *_findings(texts, "warnings", pool["warnings"], "!", "yellow"),
        facts,
        Text(),
        _conditions(texts, pool["conditions"]),
    ]
    if pool["drains"]:
        parts += [Text(), _drains(texts, pool["drains"])]
    if pool["swarms"]:
        parts += [Text(), _swarms(texts, pool["swarms"])]
    if pool["nodes"]:
        parts += [Text(), _nodes(texts, pool["nodes"])]
    title = texts("screen.well" if pool["well"] else "screen.not_well", pool=pool["name"])
    return Panel(Group(*parts), title=title, border_style="green" if pool["well"] else "red", expand=False)


def _findings(
    texts: Texts, table: str, findings: Sequence[Mapping[str, Any]], sign: str, colour: str
) -> Iterator[RenderableType]:
    for finding in findings:
        yield Text(f"{sign} {tell_finding(texts, table, finding)}", style=colour)


def tell_finding(texts: Texts, table: str, finding: Mapping[str, Any]) -> str:
    """Return a problem or warning as a sentence."""
    return plain(texts(f"{table}.{finding['code']}", **{k: v for k, v in finding.items() if k != "code"}))


def _facts(texts: Texts, pool: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "nodes", texts("screen.counts", **{n: pool[n] for n in ("desired", "active", "ready", "draining", "updated")})
    yield "network", plain(pool["network"] or "–")
    left = pool["directory_expires_in_s"]
    expires = "–" if left is None else spell_duration(left)
    yield "directory", texts("screen.directory", epoch=pool["epoch"] or "–", grade=pool["grade"] or "–", left=expires)
    for part in ("nats", "custodian", "operator"):
        if pool[part] is not None:
            yield part, _pods(texts, pool[part])
    leader = pool["leader"]
    if leader is not None:
        ago = "–" if leader["renewed_s_ago"] is None else spell_duration(leader["renewed_s_ago"])
        yield "leader", texts("screen.leader", holder=plain(leader["holder"] or "–"), ago=ago)
    scaling = pool["autoscaling"]
    if scaling:
        yield (
            "autoscaling",
            plain(f"{scaling.get('desiredReplicas', '–')} · {scaling.get('reason', '')}"),
        )
    if pool["waits"]:
        yield "waits", "\n".join(map(plain, pool["waits"]))


def _pods(texts: Texts, pods: Sequence[Mapping[str, Any]]) -> str:
    if not pods:
        return texts("screen.none")
    ready = sum(pod["ready"] for pod in pods)
    each = ", ".join(
        f"{pod['name']}{'' if pod['ready'] else ' ✗'}"
        + (f" ({texts('screen.restarts', count=pod['restarts'])})" if pod["restarts"] else "")
        for pod in pods
    )
    return texts("screen.pods", ready=ready, count=len(pods), each=each)


def _conditions(texts: Texts, conditions: Sequence[Mapping[str, Any]]) -> Table:
    table = _table(texts, "condition", "status", "reason", "message")
    for condition in conditions:
        ill = condition["status"] == ("True" if condition["type"] in _ILL_IF_TRUE else "False")
        colour = "" if condition["type"] in _NEITHER else "red" if ill else "green"
        table.add_row(
            str(condition["type"]),
            Text(str(condition["status"]), style=colour),
            str(condition["reason"]),
            Text(plain(condition["message"] or "")),
        )
    return table


def _swarms(texts: Texts, swarms: Sequence[Mapping[str, Any]]) -> Table:
    table = _table(texts, "swarm", "members", "active", "planned", "of")
    for swarm in swarms:
        counts = ["–" if swarm[name] is None else str(swarm[name]) for name in ("members", "active", "planned")]
        table.add_row(short_swarm(swarm["id"]), *counts, Text(", ".join(swarm["nodes"])))
    return table


def _nodes(texts: Texts, nodes: Sequence[Mapping[str, Any]]) -> Table:
    table = _table(texts, "node", "state", "swarm", "lag", "is_ready", "address", "machine", "why")
    for node in nodes:
        moving = node["next_swarm"] and node["next_swarm"] != node["swarm"]
        swarm = short_swarm(node["swarm"]) + (f" → {short_swarm(node['next_swarm'])}" if moving else "")
        table.add_row(
            node["name"],
            Text(node["state"], style=_COLOURS.get(node["state"], "yellow")),
            swarm,
            "–" if node["lag"] is None else str(node["lag"]),
            Text("✓", style="green") if node["ready"] else Text("✗", style="red"),
            Text(plain(node["address"] or "–")),
            Text(plain(node["machine"] or "–")),
            Text(plain(node["reason"] or ("" if node["ready"] else node["ready_reason"] or ""))),
        )
    return table


def _drains(texts: Texts, drains: Sequence[Mapping[str, Any]]) -> Table:
    table = _table(texts, "leaving", "state", "reason", "waits_for")
    for drain in drains:
        table.add_row(drain["node"], drain["state"] or "–", drain["reason"], Text(plain(drain["message"])))
    return table


def _table(texts: Texts, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        wide = column in ("message", "of", "why", "waits_for")
        table.add_column(texts(f"columns.{column}"), overflow="fold", no_wrap=not wide)
    return table


def short_swarm(swarm: str | None) -> str:
    """Return the part of a swarm's id in which ids differ: its first four hex digits of sixteen."""
    return swarm.zfill(16)[:4] if swarm else "–"
