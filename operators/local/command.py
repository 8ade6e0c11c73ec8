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
from naisho.texts import Texts
from operators.local import texts as catalogs
from operators.local.errors import StartFailed
from operators.local.home import NetworkHome
from operators.local.wished_settings import WishedSetting

INTERRUPTED = 130


def network(shared: Texts) -> click.Group:
    """Return the command, in the user's language."""
    # What needs gRPC is imported where it is used: ``naisho --help`` must not wait for it.
    texts = catalogs.load(shared.language)
    home = click.option("--home", type=click.Path(path_type=Path, file_okay=False), help=texts("help.home"))

    @click.group(help=texts("help.network"))
    def network() -> None:
        """Group the commands below."""

    @network.command(help=texts("help.up"))
    @home
    @click.option("--fresh", is_flag=True, help=texts("help.fresh"))
    @click.option("--nodes", type=click.IntRange(3), help=texts("help.nodes"))
    @click.option("--processes", type=click.IntRange(1), help=texts("help.processes"))
    @click.option("--separate-roles", is_flag=True, default=None, help=texts("help.separate"))
    @click.option(
        "--set", "settings", type=WishedSetting(texts), multiple=True, metavar="NAME=VALUE", help=texts("help.set")
    )
    @click.pass_obj
    def up(context: CliContext, /, home: Path | None, *, fresh: bool, **wished: Any) -> None:
        from operators.local.preparation import Wishes  # noqa: PLC0415

        wishes = Wishes(**wished)
        place = _place(context, home)
        with place.locked():
            if fresh:
                place.empty()
            sys.exit(asyncio.run(_up(place, wishes, texts, as_json=context.json)))

    @network.command(help=texts("help.status"))
    @home
    @click.pass_obj
    def status(context: CliContext, home: Path | None) -> None:
        from operators.local.screen import network_screen  # noqa: PLC0415
        from operators.local.status import gather  # noqa: PLC0415

        found = gather(_place(context, home))
        if context.json:
            click.echo(json.dumps(found))
        else:
            Console().print(network_screen(texts, found))

    @network.command(help=texts("help.demo"))
    @home
    @click.pass_obj
    def demo(context: CliContext, home: Path | None) -> None:
        from operators.local.demo import run_demo  # noqa: PLC0415

        asyncio.run(run_demo(_place(context, home), Console(stderr=context.json), texts, as_json=context.json))

    return network


async def _up(home: NetworkHome, wishes: Any, texts: Texts, *, as_json: bool) -> int:
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
    shown = NoSteps() if as_json else progress.enter_context(steps(console, texts))

    def ready(status: dict[str, Any]) -> None:
        progress.close()
        if as_json:
            click.echo(json.dumps(status))
            sys.stdout.flush()
        else:
            console.print(network_screen(texts, status, time.monotonic() - began))
            console.print(texts("screen.running"))

    with progress:
        try:
            await Supervisor(home, plan, shown).run(ready, end)
        except StartFailed:
            if end.is_set():  # Ctrl-C during the start is no failure
                return INTERRUPTED
            raise
    if not as_json:
        console.print(texts("screen.stopped"))
    return 0


def _place(context: CliContext, home: Path | None) -> NetworkHome:
    return NetworkHome(home.absolute()) if home else NetworkHome(context.data_dir / "networks" / "local")
