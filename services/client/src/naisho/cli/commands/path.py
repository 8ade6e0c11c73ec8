"""``naisho path``: the three nodes that requests go through, and whether they do."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, aclosing, suppress
from typing import TYPE_CHECKING, Any

import click

from naisho.cli.context import CliContext
from naisho.cli.event_texts import clock
from naisho.cli.output import short
from naisho.errors import NaishoError
from naisho.network.clock import system_ms
from naisho.protocol.directory import Directory, Freshness
from naisho.texts import Texts

if TYPE_CHECKING:
    from naisho.client import Client
    from naisho.paths.status import PathStatus


def build(texts: Texts) -> click.Command:
    """Return the command."""

    @click.command("path", help=texts("commands.path.help"))
    @click.option("--watch", is_flag=True, help=texts("commands.path.watch"))
    @click.pass_obj
    def path(context: CliContext, *, watch: bool) -> int:
        opening = context.open_client()
        if not watch:
            return context.run(_prove(context, opening))
        with suppress(KeyboardInterrupt):  # how one stops watching
            context.run(_watch(context, opening))
        return 0

    return path


async def _prove(context: CliContext, opening: AbstractAsyncContextManager[Client]) -> int:
    async with opening as client:
        with context.output.working(context.texts("path.working")):
            status = await client.prove_path()
        code = _tell(context, status)
        with suppress(NaishoError):
            warn_if_stale(context, await client.directory())
        return code


async def _watch(context: CliContext, opening: AbstractAsyncContextManager[Client]) -> None:
    async with opening as client, aclosing(client.watch_path()) as statuses:
        async for status in statuses:
            _tell(context, status)


def _tell(context: CliContext, status: PathStatus) -> int:
    """Show a status; return the exit code: 0 for green."""
    texts, output = context.texts, context.output
    output.result(document(status, texts.language))
    green = status.light == "green"
    if status.path is not None:
        _tell_path(context, status)
    if green:
        output.say(texts("path.green", ms=status.proof_ms), fg="green", bold=True)
    else:
        output.say(texts("path.orange"), fg="yellow", bold=True)
    if status.cause is not None:
        explanation = status.cause.explain(texts.language)
        output.say(f"  {explanation.what}\n  {explanation.why}\n  → {explanation.next}")
    return 0 if green else 1


def _tell_path(context: CliContext, status: PathStatus) -> None:
    texts, output = context.texts, context.output
    assert status.path is not None
    view = status.path.describe()
    columns = [texts(f"path.column_{name}") for name in ("hop", "node", "family", "country")]
    rows = [[texts(f"path.{hop.role}"), short(hop.node), hop.family or "?", hop.country or "?"] for hop in view.hops]
    output.table(columns, rows)
    output.note(texts("path.declared"))
    output.say(texts("path.grade", grade=view.grade.label))
    if view.one_operator:
        output.say(texts("path.one_operator"), fg="yellow")
    if view.simulated:
        output.say(texts("path.simulated"), fg="yellow")
    output.note(texts("path.pinned", until=clock(view.entry_pinned_until_ms)))


def warn_if_stale(context: CliContext, directory: Directory) -> None:
    """Say that nobody has signed the directory lately."""
    if directory.freshness(system_ms()) is Freshness.STALE:
        context.output.note(context.texts("directory.stale", until=clock(directory.expires_ms)))


def document(status: PathStatus, language: str) -> dict[str, Any]:
    """Return a status as JSON."""
    view = status.path.describe() if status.path else None
    hops = view.hops if view else ()
    return {
        "light": status.light.value,
        "proof_ms": status.proof_ms,
        "hops": [{"role": h.role.value, "node": h.node, "family": h.family, "country": h.country} for h in hops],
        "grade": view.grade.label if view else None,
        "one_operator": view.one_operator if view else None,
        "simulated": view.simulated if view else None,
        "entry_pinned_until_ms": view.entry_pinned_until_ms if view else None,
        "cause": {"code": status.cause.code, **status.cause.explain(language)._asdict()} if status.cause else None,
    }
