"""Choosing what unlocks a store, and asking for a passphrase."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from naisho.errors import KeyMissing, LockNotChosen
from naisho.store.locks import KeyFile, Keyring, Passphrase, Unlocker

if TYPE_CHECKING:
    from naisho.cli.context import CliContext

LOCKS = ("passphrase", "keyring", "file")


def choose_unlocker(context: CliContext, kind: str | None, wish: str | None, *, create: bool) -> Unlocker:
    """Return what unlocks an existing store, or locks a new one.

    A new store is locked by what the user wishes; else by the passphrase in ``NAISHO_PASSPHRASE_FILE``, the desktop's
    key store, or a passphrase that is asked for, whichever is there first.

    Raises:
        KeyMissing: a passphrase is needed and nobody can be asked.
        LockNotChosen: a new store, and none of these is there.
    """
    if kind is None and not create:
        return KeyFile()  # there is no store: opening it says so
    chosen = kind or wish or _usual(context)
    if chosen == "keyring":
        return Keyring()
    if chosen == "file":
        return KeyFile()
    return Passphrase(_passphrase(context, twice=kind is None))


def _usual(context: CliContext) -> str:
    if context.environment.get("NAISHO_PASSPHRASE_FILE"):
        return "passphrase"
    if Keyring.usable():
        return "keyring"
    if sys.stdin.isatty():
        return "passphrase"
    raise LockNotChosen


def _passphrase(context: CliContext, *, twice: bool) -> str:
    if path := context.environment.get("NAISHO_PASSPHRASE_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise KeyMissing from error
    if not sys.stdin.isatty():
        raise KeyMissing
    if twice:
        context.output.note(context.texts("lock.explain"))
    text = context.texts("lock.new" if twice else "lock.ask")
    again = context.texts("lock.again") if twice else False
    answer: str = click.prompt(text, hide_input=True, confirmation_prompt=again, err=True)
    return answer
