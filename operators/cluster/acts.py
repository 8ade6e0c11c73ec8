"""What the commands do and say: each acts on the cluster and tells people or programs what came of it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.live import Live
from rich.status import Status

from naisho.cli.context import CliContext
from naisho.cli.output import plain
from naisho.texts import Texts
from operators.cluster.bundle import refuse_bad_output, write_bundle
from operators.cluster.destroy import erase, look, refuse_if_installed
from operators.cluster.drain import Patience, Wish, ask_to_leave, describe_leaving, has_left, wait_until_left
from operators.cluster.errors import NotConfirmed
from operators.cluster.kube import Target, connect
from operators.cluster.names import name_of
from operators.cluster.redaction import Redactor
from operators.cluster.report import Collection
from operators.cluster.screen import cluster_screen
from operators.cluster.status import gather

WELL, NOT_WELL = 0, 1
#: How often ``status --watch`` looks.
REFRESH_EVERY_S: Final = 2.0


async def show_status(context: CliContext, texts: Texts, target: Mapping[str, Any], pool: str | None) -> int:
    """Show the status once; the exit code says whether all is well."""
    async with connect(Target(**target)) as cluster:
        found = await gather(cluster, pool)
    context.output.result(found)
    if not context.json:
        Console(highlight=False).print(cluster_screen(texts, found))
    return WELL if found["well"] else NOT_WELL


async def watch_status(context: CliContext, texts: Texts, target: Mapping[str, Any], pool: str | None) -> int:
    """Show the status until interrupted: as a screen that renews itself, or as a JSON document for each change."""
    async with connect(Target(**target)) as cluster:
        if context.json:
            before: dict[str, Any] = {}
            while True:
                found = await gather(cluster, pool)
                if _without_ages(found) != before:
                    before = _without_ages(found)
                    context.output.result(found)
                await asyncio.sleep(REFRESH_EVERY_S)
        screen = cluster_screen(texts, await gather(cluster, pool))
        with Live(screen, console=Console(highlight=False), auto_refresh=False) as live:
            while True:
                live.update(cluster_screen(texts, await gather(cluster, pool)), refresh=True)
                await asyncio.sleep(REFRESH_EVERY_S)


def _without_ages(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a status without what changes with every look."""
    ages = ("directory_expires_in_s", "leader")
    pools = [{k: v for k, v in pool.items() if k not in ages} for pool in found["pools"]]
    leaders = [{k: v for k, v in (pool["leader"] or {}).items() if k != "renewed_s_ago"} for pool in found["pools"]]
    return {**found, "pools": pools, "leaders": leaders}


def confirm_skip(context: CliContext, texts: Texts, node: str) -> None:
    """Ask whether a node shall really leave without handing over.

    Raises:
        NotConfirmed: there is nobody to ask.
        click.Abort: the answer was no.
    """
    if context.json or not sys.stdin.isatty():
        raise NotConfirmed
    click.confirm(texts("drain.confirm_skip", node=node), abort=True, err=True)


async def drain_node(
    context: CliContext, texts: Texts, target: Mapping[str, Any], wish: Wish, patience: Patience | None
) -> None:
    """Let a node leave, and follow it if the caller has patience."""
    async with connect(Target(**target)) as cluster:
        before = await ask_to_leave(cluster, wish)
        if has_left(before):
            context.output.result(describe_leaving(before, wish.node))
            context.output.say(texts("drain.left_already", node=wish.node))
            return
        if patience is None:
            context.output.result({**describe_leaving(before, wish.node), "asked": True})
            context.output.say(texts("drain.asked", node=wish.node, namespace=cluster.namespace))
            return
        with _progress(context, texts("drain.waiting", node=wish.node), as_lines=True) as shown:

            def tell(state: Mapping[str, Any]) -> None:
                state_of = plain(" · ".join(filter(None, (state["state"], state["reason"], state["message"]))))
                shown(texts("drain.progress", node=wish.node, state=state_of))

            state = await wait_until_left(cluster, before, patience, tell)
    context.output.result(state)
    skipped = state["reason"] == "Skipped"
    context.output.say(texts("drain.left_behind" if skipped else "drain.left", node=wish.node))


async def make_report(context: CliContext, texts: Texts, target: Mapping[str, Any], output: Path | None) -> None:
    """Collect a bundle and write it."""
    redactor = Redactor()
    async with connect(Target(**target)) as cluster:
        moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        file = output or Path(f"naisho-report-{cluster.namespace}-{moment}.tar.gz")
        refuse_bad_output(file)
        with _progress(context, texts("report.collecting")) as shown:
            collection = Collection(cluster, redactor, lambda part: shown(texts("report.reading", part=part)))
            await collection.collect()
    size = write_bundle(file, {"README.md": texts("report.readme"), **collection.texts})
    context.output.result(
        {
            "file": str(file),
            "bytes": size,
            "files": sorted(collection.texts),
            "left_out": collection.left_out,
            "pseudonyms": redactor.counts,
        }
    )
    context.output.say(texts("report.written", file=file, count=len(collection.texts), kilobytes=max(1, size // 1000)))
    context.output.note(texts("report.look"))
    for sentence in collection.left_out:
        context.output.note(texts("report.left_out", sentence=plain(sentence)))


async def destroy_release(
    context: CliContext,
    texts: Texts,
    target: Mapping[str, Any],
    release: str,
    sure_for_s: float | None,
    *,
    ask_helm: bool,
) -> None:
    """List what a release left behind, and erase it if the caller is sure (then with a time limit)."""
    async with connect(Target(**target)) as cluster:
        await refuse_if_installed(cluster, release, ask_helm=ask_helm)
        left = await look(cluster, release)
        listed = [doomed.describe() for doomed in left.doomed]
        kept = [one.describe() for one in left.kept]
        known = {"release": release, "namespace": cluster.namespace, "listed": listed, "kept": kept}
        if not left.doomed:
            context.output.say(texts("destroy.nothing", release=release, namespace=cluster.namespace))
        else:
            context.output.say(texts("destroy.list", count=len(listed), release=release, namespace=cluster.namespace))
        for doomed in left.doomed:
            context.output.say(f"  {doomed.kind.name} {name_of(doomed.thing)}")
        for one in left.kept:
            context.output.note(texts("destroy.kept", thing=str(one)))
        if left.other_releases:
            context.output.note(texts("destroy.others", names=", ".join(left.other_releases)))
        if sure_for_s is None:
            context.output.result({**known, "erased": []})
            if left.doomed:
                context.output.note(texts("destroy.how", release=release, namespace=cluster.namespace))
            return
        with _progress(context, texts("destroy.erasing")):
            erased = await erase(cluster, release, left, sure_for_s)
    context.output.result({**known, "erased": erased})
    if erased:
        context.output.say(texts("destroy.erased", count=len(erased)))


@contextmanager
def _progress(context: CliContext, text: str, *, as_lines: bool = False) -> Iterator[Callable[[str], None]]:
    """Show a line that changes, on a terminal; without one print each change, if they matter; say nothing in JSON."""
    if context.json or not (sys.stderr.isatty() or as_lines):
        yield lambda _now: None
    elif sys.stderr.isatty():
        with Status(text, console=Console(stderr=True, highlight=False)) as status:
            yield lambda now: status.update(now.replace("[", "\\["))
    else:
        yield context.output.note
