"""``naisho network up | status | demo``: a whole network on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from naisho.cli.context import CliContext
from operators.local.errors import StartFailed
from operators.local.home import NetworkHome

HOME = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="The network's data directory (default: networks/local in the user's data directory).",
)


@click.group()
def network() -> None:
    """Run a whole network on this machine, and look at it."""


@network.command()
@HOME
@click.option("--fresh", is_flag=True, help="Empty the data directory first: a new network.")
@click.option("--nodes", type=click.IntRange(3), help="How many nodes (default 15; most clients refuse fewer than 12).")
@click.option("--processes", type=click.IntRange(1), help="How many processes share the nodes (default 2).")
@click.option("--separate-roles", is_flag=True, default=None, help="Give both roles of every node their own process.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of all nodes: onion.rate.burst=900"
)
@click.pass_obj
def up(
    context: CliContext,
    home: Path | None,
    *,
    fresh: bool,
    nodes: int | None,
    processes: int | None,
    separate_roles: bool | None,
    settings: tuple[str, ...],
) -> None:
    """Start a network, and stop it with Ctrl-C; starting again goes on with the same data."""
    # Imported here: ``naisho --help`` must not wait for gRPC.
    from operators.local.preparation import Wishes  # noqa: PLC0415

    wishes = Wishes(nodes, processes, separate_roles, tuple(_named(setting) for setting in settings))
    place = _place(context, home)
    with place.locked():
        if fresh:
            place.empty()
        sys.exit(asyncio.run(_up(place, wishes, as_json=context.json)))


async def _up(home: NetworkHome, wishes: Any, *, as_json: bool) -> int:
    from operators.local.preparation import obtain_plan  # noqa: PLC0415
    from operators.local.screen import NoSteps, network_screen, steps  # noqa: PLC0415
    from operators.local.supervisor import Supervisor  # noqa: PLC0415
    from services.chassis import logs  # noqa: PLC0415

    logs.configure("warning")
    began = time.monotonic()
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    plan = obtain_plan(home, wishes)
    console = Console(stderr=as_json)
    progress = contextlib.ExitStack()
    shown = NoSteps() if as_json else progress.enter_context(steps(console))

    def ready(status: dict[str, Any]) -> None:
        progress.close()
        if as_json:
            click.echo(json.dumps(status))
            sys.stdout.flush()
        else:
            console.print(network_screen(status, time.monotonic() - began))
            console.print("Running. [bold]Ctrl-C[/] stops it; its data stays for the next time.")

    with progress:
        try:
            await Supervisor(home, plan, shown).run(ready, end)
        except StartFailed:
            if end.is_set():  # Ctrl-C during the start is no failure
                return 130
            raise
    if not as_json:
        console.print("Stopped; nothing is left running.")
    return 0


@network.command()
@HOME
@click.pass_obj
def status(context: CliContext, home: Path | None) -> None:
    """Show what runs: nodes, swarms, addresses, memory."""
    from operators.local.screen import network_screen  # noqa: PLC0415
    from operators.local.status import gather  # noqa: PLC0415

    found = gather(_place(context, home))
    if context.json:
        click.echo(json.dumps(found))
    else:
        Console().print(network_screen(found))


@network.command()
@HOME
@click.pass_obj
def demo(context: CliContext, home: Path | None) -> None:
    """Let two new accounts talk, over the network that runs or over one started for this."""
    from operators.local.demo import run_demo  # noqa: PLC0415

    asyncio.run(run_demo(_place(context, home), Console(stderr=context.json), as_json=context.json))


def _place(context: CliContext, home: Path | None) -> NetworkHome:
    return NetworkHome(home.absolute()) if home else NetworkHome(context.data_dir / "networks" / "local")


def _named(setting: str) -> tuple[str, str]:
    name, equals, value = setting.partition("=")
    if not equals or "." not in name:
        raise click.BadParameter(f"{setting!r} is not like onion.rate.burst=900", param_hint="--set")
    return name, value
