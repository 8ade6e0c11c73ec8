"""``naisho listen``: show what happens to this account."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from typing import TYPE_CHECKING

import click

from naisho.cli.context import CliContext
from naisho.cli.event_texts import event_document, event_line
from naisho.events import Event, TextReceived
from naisho.texts import Texts

if TYPE_CHECKING:
    from naisho.client import Client


def build(texts: Texts) -> click.Command:
    """Return the command."""

    @click.command("listen", help=texts("commands.listen.help"))
    @click.option("--once", is_flag=True, help=texts("commands.listen.once"))
    @click.option(
        "--count", type=click.IntRange(min=1), metavar=texts("metavars.number"), help=texts("commands.listen.count")
    )
    @click.option("--receipts", is_flag=True, help=texts("commands.listen.receipts"))
    @click.pass_obj
    def listen(context: CliContext, *, once: bool, count: int | None, receipts: bool) -> None:
        opening = context.open_client()
        if once:
            context.run(_once(context, opening, receipts=receipts))
            return
        with suppress(KeyboardInterrupt):  # how one stops listening
            context.run(_listen(context, opening, count, receipts=receipts))

    return listen


async def _once(context: CliContext, opening: AbstractAsyncContextManager[Client], *, receipts: bool) -> None:
    async with opening as client:
        with context.output.working(context.texts("listen.working")):
            await client.flush()
            events = await client.poll()
        for event in events:
            await _show(context, client, event, receipts=receipts)
        if not events:
            context.output.note(context.texts("listen.nothing"))


async def _listen(
    context: CliContext, opening: AbstractAsyncContextManager[Client], count: int | None, *, receipts: bool
) -> None:
    async with opening as client:
        _ = client.account_id
        context.output.note(context.texts("listen.begins"))
        watcher = asyncio.create_task(_tell_path(context, client))
        try:
            async with aclosing(client.listen()) as events:
                async for event in events:
                    await _show(context, client, event, receipts=receipts)
                    count = None if count is None else count - 1
                    if count == 0:
                        break
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher


async def _show(context: CliContext, client: Client, event: Event, *, receipts: bool) -> None:
    context.output.result(event_document(event))
    context.output.say(event_line(event, context.texts))
    if receipts and isinstance(event, TextReceived):
        await client.mark_read(event.message.peer, receipt=True)


async def _tell_path(context: CliContext, client: Client) -> None:
    """Note on standard error when the path's light changes."""
    paths, texts = client.reach().paths, context.texts
    status = paths.status
    while True:
        before, status = status, await paths.changed(status)
        if status.light == before.light and (status.cause is None) == (before.cause is None):
            continue
        if status.light == "green":
            context.output.note(texts("path.green_note"))
        elif status.cause is not None:
            explanation = status.cause.explain(texts.language)
            context.output.note(texts("path.orange_note", what=explanation.what, next=explanation.next))
