"""``naisho react``: put an emoji on a message."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import click

from naisho.cli.commands.send import tell_delivery
from naisho.cli.context import CliContext
from naisho.texts import Texts

if TYPE_CHECKING:
    from naisho.client import Client


def build(texts: Texts) -> click.Command:
    """Return the command."""

    @click.command("react", help=texts("commands.react.help"))
    @click.argument("account", metavar=texts("metavars.author"))
    @click.argument("time", type=int, metavar=texts("metavars.time"))
    @click.argument("emoji", metavar=texts("metavars.emoji"))
    @click.option("--remove", is_flag=True, help=texts("commands.react.remove"))
    @click.pass_obj
    def react(context: CliContext, account: str, time: int, emoji: str, *, remove: bool) -> int:
        return context.run(_react(context, context.open_client(), account, time, emoji, remove=remove))

    return react


async def _react(
    context: CliContext,
    opening: AbstractAsyncContextManager[Client],
    account: str,
    time: int,
    emoji: str,
    *,
    remove: bool,
) -> int:
    async with opening as client:
        with context.output.working(context.texts("send.working")):
            delivery = await client.react(account, time, emoji, remove=remove)
    return tell_delivery(context, delivery, delivery.message.peer.hex)
