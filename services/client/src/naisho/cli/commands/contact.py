"""``naisho contact``: other accounts, and who accepted whom."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import click

from naisho.cli.context import CliContext
from naisho.cli.output import plain
from naisho.texts import Texts

if TYPE_CHECKING:
    from naisho.client import Client


def build(texts: Texts) -> click.Group:
    """Return the group."""

    @click.group("contact", help=texts("commands.contact.help"))
    def contact() -> None:
        pass

    @contact.command("list", help=texts("commands.contact.list"))
    @click.pass_obj
    def list_(context: CliContext) -> None:
        context.run(_list(context, context.open_client()))

    def change(name: str) -> None:
        @contact.command(name, help=texts(f"commands.contact.{name}"))
        @click.argument("account", metavar=texts("metavars.account"))
        @click.pass_obj
        def command(context: CliContext, account: str) -> None:
            context.run(_change(context, context.open_client(), name, account))

    for name in ("accept", "block", "unblock"):
        change(name)
    return contact


async def _list(context: CliContext, opening: AbstractAsyncContextManager[Client]) -> None:
    texts, output = context.texts, context.output
    async with opening as client:
        contacts = await client.contacts()
    states = ["blocked" if c.blocked else "request" if c.is_request else "contact" for c in contacts]
    documents = [
        {"account_id": c.account.hex, "display_name": c.display_name, "state": state}
        for c, state in zip(contacts, states, strict=True)
    ]
    output.result({"contacts": documents})
    if not contacts:
        output.note(texts("contact.none"))
        return
    columns = [texts(f"contact.column_{name}") for name in ("account", "name", "state")]
    rows = [[d["account_id"], plain(d["display_name"]), texts(f"contact.{d['state']}")] for d in documents]
    output.table(columns, rows)


async def _change(context: CliContext, opening: AbstractAsyncContextManager[Client], change: str, account: str) -> None:
    async with opening as client:
        if change == "accept":
            await client.accept(account)
        else:
            await client.block(account, blocked=change == "block")
    context.output.result({"account_id": account, "done": change})
    context.output.say(context.texts(f"contact.done_{change}"), fg="green")
