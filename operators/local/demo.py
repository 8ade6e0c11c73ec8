"""``naisho network demo``: two new accounts talk, and what the network did for it is shown."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from naisho import Client, MessagesRead, Reacted, TextReceived
from naisho.conversation.sending import Delivery
from naisho.texts import Texts
from operators.local.errors import NotRunning, StartFailed
from operators.local.home import NetworkHome
from operators.local.preparation import Wishes, obtain_plan
from operators.local.screen import NoSteps, Steps, steps
from operators.local.supervisor import Supervisor
from operators.trial.talk import NothingArrived, TalkFailed, describe_delivery, describe_path, next_event


async def run_demo(home: NetworkHome, console: Console, texts: Texts, *, as_json: bool) -> None:
    """Use the network that runs from ``home``, or start one in a directory of its own and stop it afterwards."""
    async with AsyncExitStack() as stack:
        try:
            home.read_running()
        except NotRunning:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="naisho-demo-"))
            home = NetworkHome(Path(folder) / "network")
            await stack.enter_async_context(_own_network(home, console, texts, as_json=as_json))
        try:
            told = await converse(home.network_file, texts)
        except NothingArrived as error:
            raise StartFailed(f"{error}; look at the network with: naisho network status") from error
        except TalkFailed as error:
            raise StartFailed(str(error)) from error
    if as_json:
        click.echo(json.dumps(told))
    else:
        _show(told, console, texts)


@asynccontextmanager
async def _own_network(home: NetworkHome, console: Console, texts: Texts, *, as_json: bool) -> AsyncIterator[None]:
    ready, end = asyncio.Event(), asyncio.Event()
    with home.locked(), ExitStack() as shown:
        reporter: Steps = NoSteps() if as_json else shown.enter_context(steps(console, texts))
        supervisor = Supervisor(home, obtain_plan(home, Wishes()), reporter)
        running = asyncio.create_task(supervisor.run(lambda _status: ready.set(), end))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if running.done():
            await running
        shown.close()
        try:
            yield
        finally:
            end.set()
            await running


async def converse(network: Path, texts: Texts) -> dict[str, Any]:
    """Let two new accounts write, receive, react, read and answer; return what happened, as JSON values."""
    with tempfile.TemporaryDirectory(prefix="naisho-demo-") as folder:
        async with (
            Client.open(Path(folder) / "aiko", network=network, create=True) as aiko,
            Client.open(Path(folder) / "ren", network=network, create=True) as ren,
        ):
            first, second = await aiko.new_account("Aiko"), await ren.new_account("Ren")
            paths = {"Aiko": describe_path(await aiko.prove_path()), "Ren": describe_path(await ren.prove_path())}
            told: list[dict[str, Any]] = []
            sent = await aiko.send(second, texts("demo.hello"))
            told.append(_told("Aiko", "writes", sent))
            got = await next_event(ren, TextReceived)
            told.append({"who": "Ren", "what": "reads", "text": got.message.text})
            await ren.accept(first)
            answer = await ren.send(first, texts("demo.answer"))
            told.append(_told("Ren", "answers", answer))
            back = await next_event(aiko, TextReceived)
            told.append({"who": "Aiko", "what": "reads", "text": back.message.text})
            told.append(_told("Ren", "reacts", await ren.react(first, got.message.sent_ms, "🌿")))
            reaction = await next_event(aiko, Reacted)
            told.append({"who": "Aiko", "what": "sees", "text": reaction.emoji})
            await aiko.mark_read(second, receipt=True)
            await next_event(ren, MessagesRead)
            told.append({"who": "Ren", "what": "learns", "text": texts("demo.was_read")})
            return {"accounts": {"Aiko": first.hex, "Ren": second.hex}, "paths": paths, "steps": told}


def _told(who: str, what: str, delivery: Delivery) -> dict[str, Any]:
    return {"who": who, "what": what, "text": delivery.message.text, **describe_delivery(delivery)}


def _show(told: dict[str, Any], console: Console, texts: Texts) -> None:
    for name, path in told["paths"].items():
        hops = " → ".join(f"{texts('demo.' + hop['role'])} {hop['family']}/{hop['country']}" for hop in path["hops"])
        light = "[green]●[/]" if path["light"] == "green" else "[yellow]●[/]"
        grade = texts("demo.simulated") if path["simulated"] else path["grade"]
        console.print(f"{light} {texts('demo.path', who=name, hops=hops)}")
        console.print(f"  ({texts('demo.proven', grade=grade, ms=path['proof_ms'])})", style="dim")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("what", "text", "receipts", "took"):
        table.add_column(texts(f"demo.{column}"))
    for step in told["steps"]:
        count, _, asked = step.get("receipts", "").partition(" of ")
        table.add_row(
            texts(f"demo.{step['what']}", who=step["who"]),
            step["text"] or "",
            texts("demo.of", count=count, asked=asked) if asked else "",
            f"{step['took_ms']} ms" if "took_ms" in step else "",
        )
    console.print(table)
