"""click's own words in the user's language: headings of help, and complaints about how a command was called."""

from __future__ import annotations

from collections.abc import Sequence

import click
from click.exceptions import BadOptionUsage, BadParameter, MissingParameter, NoSuchCommand, NoSuchOption

from naisho.texts import Texts


class LocalContext(click.Context):
    """A click context whose help speaks the language of the invocation."""

    def make_formatter(self) -> click.HelpFormatter:
        """Return a formatter with translated headings."""
        from naisho.cli.context import CliContext  # noqa: PLC0415 - a cycle otherwise

        context = self.find_object(CliContext)
        texts = context.texts if context else Texts.load("en")
        return LocalFormatter(texts, width=self.terminal_width, max_width=self.max_content_width)


class LocalFormatter(click.HelpFormatter):
    """Writes click's headings in the user's language."""

    def __init__(self, texts: Texts, width: int | None, max_width: int | None) -> None:
        super().__init__(width=width, max_width=max_width or 100)
        self._texts = texts
        self._headings = {"Options": texts("usage.options"), "Commands": texts("usage.commands")}

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the usage line."""
        super().write_usage(prog, args, prefix or f"{self._texts('usage.usage')} ")

    def write_heading(self, heading: str) -> None:
        """Write a section's heading."""
        super().write_heading(self._headings.get(heading, heading))


def explain_usage(error: click.UsageError, texts: Texts) -> dict[str, str]:
    """Return what was wrong with a call, why, and what to do next."""
    command = error.ctx.command_path if error.ctx else "naisho"
    name, why = _name(error), ""
    match error:
        case NoSuchCommand():
            what, why = texts("usage.no_such_command", name=error.command_name), _alike(error.possibilities, texts)
        case NoSuchOption():
            what, why = texts("usage.no_such_option", name=error.option_name), _alike(error.possibilities, texts)
        case MissingParameter():
            what = texts("usage.missing", name=name)
        case BadParameter():
            what, why = texts("usage.bad_value", name=name), _wanted(error, texts)
        case BadOptionUsage():
            what = texts("usage.bad_option", name=error.option_name)
        case _:
            what, why = texts("usage.wrong"), texts("usage.detail", detail=error.message)
    next_step = texts("usage.next", command=command)
    return {"code": "usage", "remedy": "change-input", "what": what, "why": why, "next": next_step}


def _name(error: click.UsageError) -> str:
    parameter = getattr(error, "param", None)
    if isinstance(parameter, click.Option):
        return "/".join(parameter.opts)
    return parameter.make_metavar(error.ctx) if isinstance(parameter, click.Argument) and error.ctx else "?"


def _alike(names: Sequence[str] | None, texts: Texts) -> str:
    return texts("usage.alike", names=", ".join(names)) if names else ""


def _wanted(error: BadParameter, texts: Texts) -> str:
    kind = getattr(error.param, "type", None)
    if isinstance(kind, click.Choice):
        return texts("usage.choices", names=", ".join(map(str, kind.choices)))
    if isinstance(kind, click.IntRange):
        return texts(
            "usage.range", least="…" if kind.min is None else kind.min, most="…" if kind.max is None else kind.max
        )
    if kind is click.INT:
        return texts("usage.whole_number")
    return texts("usage.detail", detail=error.message)
