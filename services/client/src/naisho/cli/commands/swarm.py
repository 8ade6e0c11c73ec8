"""``naisho swarm``: the nodes that keep an account's mailbox."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import click

from naisho.cli.commands.path import warn_if_stale
from naisho.cli.context import CliContext
from naisho.cli.output import short
from naisho.texts import Texts

if TYPE_CHECKING:
    from naisho.client import Client


def build(texts: Texts) -> click.Command:
    """Return the command."""

    @click.command("swarm", help=texts("commands.swarm.help"))
    @click.argument("account", required=False, metavar=texts("metavars.account"))
    @click.pass_obj
    def swarm(context: CliContext, account: str | None) -> None:
        context.run(_swarm(context, context.open_client(), account))

    return swarm


async def _swarm(context: CliContext, opening: AbstractAsyncContextManager[Client], account: str | None) -> None:
    texts, output = context.texts, context.output
    async with opening as client:
        with output.working(texts("swarm.working")):
            found = await client.swarm(account or client.account_id)
            directory = await client.directory()
    members = [
        {
            "node": node.key.hex(),
            "family": node.family,
            "country": node.country,
            "state": node.state.name.lower(),
            "version": ".".join(map(str, node.version)),
        }
        for node in found.members
    ]
    output.result(
        {
            "swarm": f"{found.swarm_id:x}",
            "members": members,
            "epoch": directory.epoch,
            "grade": directory.grade.label,
            "simulated": directory.simulated,
        }
    )
    output.say(texts("swarm.title", count=len(members)), bold=True)
    columns = [texts(f"swarm.column_{name}") for name in ("node", "family", "country", "state")]
    rows = [
        [short(member["node"]), member["family"], member["country"], texts(f"swarm.{member['state']}")]
        for member in members
    ]
    output.table(columns, rows)
    output.note(texts("path.declared"))
    warn_if_stale(context, directory)
