"""Options that every command takes, anywhere: ``naisho --json send …`` and ``naisho send … --json`` are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import click

from naisho.cli.context import CliContext
from naisho.cli.usage import LocalContext
from naisho.texts import LANGUAGES, Texts

Set: TypeAlias = Callable[[CliContext, Any], None]


def shared_options(texts: Texts, *, shown: bool) -> list[click.Option]:
    """Return the shared options; below the root only ``--json`` is shown in help."""
    table: list[tuple[str, click.ParamType[Any] | None, Set]] = [
        ("--data-dir", click.Path(path_type=Path, file_okay=False), _set_data_dir),
        ("--network", click.Path(path_type=Path, dir_okay=False), _set_network),
        ("--profile", None, _set_profile),
        ("--lang", click.Choice(LANGUAGES), _keep),
        ("--json", None, _set_json),
    ]
    options = []
    for name, kind, apply in table:
        key = name[2:].replace("-", "_")
        is_flag = name == "--json"
        option = click.Option(
            [name],
            type=kind,
            is_flag=is_flag,
            expose_value=False,
            callback=_remember(apply),
            help=texts(f"options.{key}"),
            hidden=not shown and not is_flag,
            metavar=None if is_flag or key == "lang" else texts(f"metavars.{key}"),
        )
        options.append(option)
    # In place of click's own, which speaks English only.
    text = texts("options.help")
    options.append(
        click.Option(["--help"], is_flag=True, is_eager=True, expose_value=False, callback=_show_help, help=text)
    )
    return options


def add_shared_options(command: click.Command, texts: Texts) -> click.Command:
    """Give a command and all commands below it the shared options, except names that it uses itself."""
    taken = {name for parameter in command.params for name in parameter.opts}
    command.add_help_option = False
    command.context_class = LocalContext
    command.options_metavar = texts("usage.options_metavar")
    command.params += [o for o in shared_options(texts, shown=False) if taken.isdisjoint(o.opts)]
    if isinstance(command, click.Group):
        command.subcommand_metavar = texts("usage.subcommand_metavar")
        for child in command.commands.values():
            add_shared_options(child, texts)
    return command


def _remember(apply: Set) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:
        context = ctx.find_object(CliContext)
        if value and context is not None:
            apply(context, value)

    return callback


def _show_help(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's value
    if value and not ctx.resilient_parsing:
        click.echo(ctx.get_help())
        ctx.exit()


def _set_data_dir(context: CliContext, value: Path) -> None:
    context.given_data_dir = value


def _set_network(context: CliContext, value: Path) -> None:
    context.network = value


def _set_profile(context: CliContext, value: str) -> None:
    context.profile = value


def _set_json(context: CliContext, value: bool) -> None:  # noqa: FBT001 - click's value
    context.json = value


def _keep(_context: CliContext, _value: str) -> None:
    """The language was read before anything was built; see `naisho.cli.main`."""
