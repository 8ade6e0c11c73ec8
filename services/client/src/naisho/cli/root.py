"""The root command: our own commands and those of plug-ins, each loaded when it is used."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from typing import Any

import click

from naisho.cli.options import add_shared_options, shared_options
from naisho.cli.usage import LocalContext
from naisho.texts import Texts

GROUP = "naisho.commands"
#: In the order of a newcomer's needs.
COMMANDS = ("account", "send", "listen", "path", "swarm", "contact", "history", "react", "unsend", "completion")


class Root(click.Group):
    """``naisho``.

    A plug-in is an entry point in the group ``naisho.commands``, named as its command. It is a click command, or a
    function that takes the `Texts` of the user's language and returns one; click's object is the `CliContext`. A broken
    plug-in says so when it is used, and disturbs no other command.
    """

    context_class = LocalContext

    def __init__(self, texts: Texts, find: Callable[[], list[importlib.metadata.EntryPoint]]) -> None:
        super().__init__("naisho", help=texts("commands.naisho.help"), params=list(shared_options(texts, shown=True)))
        self.no_args_is_help, self.add_help_option = True, False
        self.options_metavar = texts("usage.options_metavar")
        self.subcommand_metavar = texts("usage.subcommand_metavar")
        self._texts = texts
        self._find = find
        self._loaded: dict[str, click.Command] = {}
        version = click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help=texts("options.version"),
        )
        self.params.append(version)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return all names without loading anything."""
        return [*COMMANDS, *sorted({point.name for point in self._find()} - set(COMMANDS))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load one command."""
        if cmd_name not in self._loaded:
            command = self._load(cmd_name)
            if command is None:
                return None
            self._loaded[cmd_name] = add_shared_options(command, self._texts)
        return self._loaded[cmd_name]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant; a complaint about an unknown one names those that look like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(
                error.command_name, possibilities=self.list_commands(ctx), ctx=ctx
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by their one-line texts, without loading them."""
        with formatter.section(self._texts("usage.commands")):
            formatter.write_dl([(name, self._summary(name)) for name in self.list_commands(ctx)])

    def _summary(self, name: str) -> str:
        if self._texts.has(key := f"commands.{name}.summary"):
            return self._texts(key)
        points = [point for point in self._find() if point.name == name and point.dist is not None]
        source = points[0].dist.name if points and points[0].dist else "?"
        return self._texts("plugins.from", source=source)

    def _load(self, name: str) -> click.Command | None:
        if name in COMMANDS:
            built: click.Command = importlib.import_module(f"naisho.cli.commands.{name}").build(self._texts)
            return built
        point = next((point for point in self._find() if point.name == name), None)
        if point is None:
            return None
        try:
            loaded: Any = point.load()
            command = loaded if isinstance(loaded, click.Command) else loaded(self._texts)
        except Exception as error:  # noqa: BLE001 - whatever a plug-in may do wrong
            return _broken(name, point, error, self._texts)
        if not isinstance(command, click.Command):
            return _broken(name, point, TypeError(type(command).__name__), self._texts)
        return command


def find_plugins() -> list[importlib.metadata.EntryPoint]:
    """Return the entry points of plug-ins that are installed."""
    return list(importlib.metadata.entry_points(group=GROUP))


def _broken(name: str, point: importlib.metadata.EntryPoint, error: Exception, texts: Texts) -> click.Command:
    source = point.dist.name if point.dist else point.value

    def complain(**_: object) -> None:
        from naisho.errors import BrokenPlugin  # noqa: PLC0415 - rarely needed

        raise BrokenPlugin(command=name, source=source, reason=f"{type(error).__name__}: {error}") from error

    return click.Command(
        name,
        callback=complain,
        help=texts("plugins.broken", source=source),
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
    )


def _show_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's value
    if value and not ctx.resilient_parsing:
        click.echo(f"naisho {importlib.metadata.version('naisho')}")
        ctx.exit()
