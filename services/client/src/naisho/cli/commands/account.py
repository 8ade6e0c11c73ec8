"""``naisho account``: make, show, name and recover this profile's account."""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager
from io import StringIO
from typing import TYPE_CHECKING

import click

from naisho.cli.context import CliContext
from naisho.texts import Texts

if TYPE_CHECKING:
    from naisho.client import Client

NOTED = "recovery_words_noted"
LOCKS = ("passphrase", "keyring", "file")


def build(texts: Texts) -> click.Group:
    """Return the group."""
    lock = click.option("--lock", type=click.Choice(LOCKS), help=texts("commands.account.lock"))
    name = click.option("--name", default="", metavar=texts("metavars.name"), help=texts("commands.account.name"))

    @click.group("account", help=texts("commands.account.help"))
    def account() -> None:
        pass

    @account.command("new", help=texts("commands.account.new"))
    @name
    @lock
    @click.pass_obj
    def new(context: CliContext, name: str, lock: str | None) -> None:
        context.run(_new(context, context.open_client(lock=lock, create=True), name))

    @account.command("show", help=texts("commands.account.show"))
    @click.option("--qr", is_flag=True, help=texts("commands.account.qr"))
    @click.pass_obj
    def show(context: CliContext, *, qr: bool) -> None:
        context.run(_show(context, context.open_client(), qr=qr))

    @account.command("words", help=texts("commands.account.words"))
    @click.option("--noted", is_flag=True, help=texts("commands.account.noted"))
    @click.pass_obj
    def words(context: CliContext, *, noted: bool) -> None:
        context.run(_words(context, context.open_client(), noted=noted))

    @account.command("rename", help=texts("commands.account.rename"))
    @click.argument("name", metavar=texts("metavars.name"))
    @click.pass_obj
    def rename(context: CliContext, name: str) -> None:
        context.run(_rename(context, context.open_client(), name))

    @account.command("recover", help=texts("commands.account.recover"))
    @name
    @lock
    @click.pass_obj
    def recover(context: CliContext, name: str, lock: str | None) -> None:
        opening = context.open_client(lock=lock, create=True)
        words = click.prompt(texts("account.words"), err=True) if sys.stdin.isatty() else sys.stdin.read()
        context.run(_recover(context, opening, words, name))

    return account


async def _new(context: CliContext, opening: AbstractAsyncContextManager[Client], name: str) -> None:
    texts, output = context.texts, context.output
    async with opening as client:
        account = await client.new_account(name)
        words = client.recovery_words()
    output.result({"account_id": account.hex, "profile": context.profile, "recovery_words": words})
    output.say(texts("account.made"), fg="green", bold=True)
    output.say(f"  {account.hex}", bold=True)
    output.say(f"\n{texts('account.write_down')}")
    output.say(f"  {words}", fg="yellow")
    output.say(f"\n{texts('account.after')}")


async def _show(context: CliContext, opening: AbstractAsyncContextManager[Client], *, qr: bool) -> None:
    texts, output = context.texts, context.output
    async with opening as client:
        account, name = client.account_id.hex, client.display_name
        noted = bool(await client.store.accounts.setting(NOTED))
    output.result(
        {"account_id": account, "profile": context.profile, "display_name": name, "recovery_words_noted": noted}
    )
    output.say(account, bold=True)
    if name:
        output.say(texts("account.shown_name", name=name))
    if qr:
        output.say(_qr(account))
    if not noted:
        output.note(texts("account.remember"))


async def _words(context: CliContext, opening: AbstractAsyncContextManager[Client], *, noted: bool) -> None:
    async with opening as client:
        words = client.recovery_words()
        if noted:
            await client.store.accounts.set(NOTED, "yes")
    context.output.result({"recovery_words": words})
    context.output.note(context.texts("account.secret"))
    context.output.say(words, fg="yellow")


async def _rename(context: CliContext, opening: AbstractAsyncContextManager[Client], name: str) -> None:
    async with opening as client:
        await client.rename(name)
    context.output.result({"display_name": name})
    context.output.say(context.texts("account.renamed", name=name))


async def _recover(context: CliContext, opening: AbstractAsyncContextManager[Client], words: str, name: str) -> None:
    async with opening as client:
        account = await client.recover(words, name)
        await client.store.accounts.set(NOTED, "yes")
    context.output.result({"account_id": account.hex, "profile": context.profile})
    context.output.say(context.texts("account.recovered"), fg="green", bold=True)
    context.output.say(f"  {account.hex}", bold=True)


def _qr(text: str) -> str:
    import segno  # noqa: PLC0415 - needed for one option only

    drawn = StringIO()
    segno.make(text, error="m", micro=False).terminal(drawn, compact=True)
    return drawn.getvalue()
