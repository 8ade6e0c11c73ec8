"""``naisho send``: write to an account."""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import click

from naisho.cli.context import CliContext
from naisho.texts import Texts

if TYPE_CHECKING:
    from naisho.client import Client
    from naisho.conversation.sending import Delivery


def build(texts: Texts) -> click.Command:
    """Return the command."""

    @click.command("send", help=texts("commands.send.help"))
    @click.argument("account", metavar=texts("metavars.account"))
    @click.argument("text", required=False, metavar=texts("metavars.text"))
    @click.option("--yes", is_flag=True, help=texts("commands.send.yes"))
    @click.pass_obj
    def send(context: CliContext, account: str, text: str | None, *, yes: bool) -> int:
        written = sys.stdin.read().rstrip("\n") if text in {None, "-"} else str(text)
        return context.run(_send(context, context.open_client(), account, written, sure=yes))

    return send


async def _send(
    context: CliContext, opening: AbstractAsyncContextManager[Client], account: str, text: str, *, sure: bool
) -> int:
    async with opening as client:
        with context.output.working(context.texts("send.working")):
            delivery = await client.send(account, text, sure=sure)
    return tell_delivery(context, delivery, account)


def tell_delivery(context: CliContext, delivery: Delivery, account: str) -> int:
    """Say what became of a message; return the exit code: 1 while it waits on this device."""
    texts, output = context.texts, context.output
    output.result(document(delivery, account, context.texts.language))
    if delivery.receipt is not None:
        key = "send.stored" if delivery.receipt.count == delivery.receipt.asked else "send.partly"
        count, asked = delivery.receipt.count, delivery.receipt.asked
        output.say(texts(key, count=count, asked=asked, ms=delivery.took_ms), fg="green")
        return 0
    output.say(texts("send.waits"), fg="yellow")
    if delivery.error is not None and not output.as_json:
        output.error(delivery.error.explain(texts.language)._asdict())
    return 1


def document(delivery: Delivery, account: str, language: str) -> dict[str, Any]:
    """Return a delivery as JSON."""
    receipt, error = delivery.receipt, delivery.error
    return {
        "to": account,
        "sent_ms": delivery.message.sent_ms,
        "state": "stored" if receipt else "queued",
        "members_stored": receipt.count if receipt else 0,
        "members_asked": receipt.asked if receipt else 0,
        "message_hash": receipt.message_hash if receipt else None,
        "took_ms": delivery.took_ms,
        "error": {"code": error.code, **error.explain(language)._asdict()} if error else None,
    }
