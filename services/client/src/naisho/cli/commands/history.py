"""``naisho history``: the messages with a peer that this device keeps."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import click

from naisho.cli.context import CliContext
from naisho.cli.event_texts import clock, message_document
from naisho.cli.output import plain, short
from naisho.texts import Texts

if TYPE_CHECKING:
    from naisho.client import Client


def build(texts: Texts) -> click.Command:
    """Return the command."""

    @click.command("history", help=texts("commands.history.help"))
    @click.argument("account", metavar=texts("metavars.account"))
    @click.option(
        "--limit",
        type=click.IntRange(1, 10_000),
        default=100,
        metavar=texts("metavars.number"),
        help=texts("commands.history.limit"),
    )
    @click.pass_obj
    def history(context: CliContext, account: str, limit: int) -> None:
        context.run(_history(context, context.open_client(), account, limit))

    return history


async def _history(context: CliContext, opening: AbstractAsyncContextManager[Client], account: str, limit: int) -> None:
    texts, output = context.texts, context.output
    async with opening as client:
        own, messages = client.account_id, await client.history(account, limit)
    output.result({"messages": [message_document(message) for message in messages]})
    if not messages:
        output.note(texts("history.none"))
    for message in messages:
        who = texts("history.you") if message.author == own else short(message.author.hex)
        state = texts(f"history.{message.state}", count=message.members_stored, asked=message.members_asked)
        emojis = " ".join(plain(reaction.emoji) for reaction in message.reactions)
        time = clock(message.sent_ms)
        output.say(texts("history.line", time=time, who=who, text=plain(message.text), state=state, emojis=emojis))
        output.note(texts("history.name", ms=message.sent_ms))
