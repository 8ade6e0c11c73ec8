"""``naisho unsend``: delete an own message for everyone."""

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

    @click.command("unsend", help=texts("commands.unsend.help"))
    @click.argument("time", type=int, metavar=texts("metavars.time"))
    @click.pass_obj
    def unsend(context: CliContext, time: int) -> int:
        return context.run(_unsend(context, context.open_client(), time))

    return unsend


async def _unsend(context: CliContext, opening: AbstractAsyncContextManager[Client], time: int) -> int:
    async with opening as client:
        with context.output.working(context.texts("send.working")):
            delivery = await client.unsend(time)
    return tell_delivery(context, delivery, delivery.message.peer.hex)
