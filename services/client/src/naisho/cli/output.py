"""How commands speak: one JSON document on standard output, or lines for people."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
import orjson

from naisho.texts import Texts


class Output:
    """Standard output carries results, standard error everything else."""

    def __init__(self, texts: Texts, *, as_json: bool) -> None:
        self.texts = texts
        self.as_json = as_json

    def result(self, document: Mapping[str, Any]) -> None:
        """Print a command's JSON document, on one line; nothing in the form for people."""
        if self.as_json:
            click.echo(orjson.dumps(document).decode())
            sys.stdout.flush()

    def say(self, text: str, **style: Any) -> None:
        """Print a line of the result for people."""
        if not self.as_json:
            click.secho(text, **style)

    def note(self, text: str) -> None:
        """Print a remark for people, apart from the result."""
        if not self.as_json:
            click.secho(text, err=True, dim=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table for people."""
        if self.as_json:
            return
        from rich.console import Console  # noqa: PLC0415 - slow to import, not needed for every command
        from rich.table import Table  # noqa: PLC0415 - as above

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(_no_markup(cell) for cell in row))
        Console(highlight=False).print(table)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something takes a while, on a terminal."""
        if self.as_json or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console  # noqa: PLC0415 - as above

        with Console(stderr=True).status(text):
            yield

    def error(self, error: Mapping[str, str]) -> None:
        """Print what happened, why, and what to do next."""
        if self.as_json:
            self.result({"error": error})
            return
        click.secho(f"✗ {error['what']}", err=True, fg="red", bold=True)
        if error.get("why"):
            click.secho(f"  {error['why']}", err=True)
        if error.get("next"):
            click.secho(f"  → {error['next']}", err=True, fg="cyan")


def plain(text: str) -> str:
    """Return somebody else's text without what could control a terminal; line breaks stay."""
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)


def short(node_or_account: str) -> str:
    """Return the beginning and end of a long hex name, enough to compare by eye."""
    return f"{node_or_account[:8]}…{node_or_account[-4:]}"


def _no_markup(cell: str) -> str:
    return cell.replace("[", "\\[")
