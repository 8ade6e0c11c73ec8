"""``naisho cluster status | drain | report | destroy | test``: a network on Kubernetes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from naisho.cli.context import CliContext
from naisho.texts import Texts
from operators.cluster import texts as catalogs
from operators.cluster.choices import Duration, F, with_target


def cluster(shared: Texts) -> click.Group:
    """Return the command, in the user's language."""
    # What needs the Kubernetes library is imported where it is used: ``naisho --help`` must not wait for it.
    texts = catalogs.load(shared.language)

    @click.group(help=texts("help.cluster"))
    def cluster() -> None:
        """Group the commands below."""

    for add in (_add_status, _add_drain, _add_report, _add_destroy, _add_test):
        add(cluster, texts)
    return cluster


def _add_status(group: click.Group, texts: Texts) -> None:
    @group.command(help=texts("help.status"))
    @with_target(texts, pool=True)
    @click.option("-w", "--watch", is_flag=True, help=texts("help.watch"))
    @click.pass_obj
    def status(context: CliContext, /, *, pool: str | None, watch: bool, **target: Any) -> int:
        from operators.cluster.acts import show_status, watch_status  # noqa: PLC0415

        act = watch_status if watch else show_status
        return context.run(act(context, texts, target, pool))


def _add_drain(group: click.Group, texts: Texts) -> None:
    @group.command(help=texts("help.drain"))
    @click.argument("node", metavar=texts("metavars.node"))
    @with_target(texts)
    @click.option("--no-replacement", is_flag=True, help=texts("help.no_replacement"))
    @click.option("--skip-drain", is_flag=True, help=texts("help.skip_drain"))
    @click.option("-y", "--yes", is_flag=True, help=texts("help.yes"))
    @click.option("--wait/--no-wait", default=True, help=texts("help.wait"))
    @_timeout(texts, "30m")
    @click.pass_obj
    def drain(
        context: CliContext,
        /,
        node: str,
        *,
        no_replacement: bool,
        skip_drain: bool,
        yes: bool,
        wait: bool,
        timeout: float,
        **target: Any,
    ) -> None:
        from operators.cluster.acts import confirm_skip, drain_node  # noqa: PLC0415
        from operators.cluster.drain import Patience, Wish  # noqa: PLC0415

        if skip_drain and not yes:
            confirm_skip(context, texts, node)
        wish = Wish(node, replace=not no_replacement, skip=skip_drain)
        context.run(drain_node(context, texts, target, wish, Patience(timeout) if wait else None))


def _add_report(group: click.Group, texts: Texts) -> None:
    @group.command(help=texts("help.report"))
    @with_target(texts)
    @click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar=texts("metavars.file"),
        help=texts("help.output"),
    )
    @click.pass_obj
    def report(context: CliContext, /, *, output: Path | None, **target: Any) -> None:
        from operators.cluster.acts import make_report  # noqa: PLC0415

        context.run(make_report(context, texts, target, output))


def _add_destroy(group: click.Group, texts: Texts) -> None:
    @group.command(help=texts("help.destroy"))
    @click.argument("release", metavar=texts("metavars.release"))
    @with_target(texts)
    @click.option("--yes-erase-everything", is_flag=True, help=texts("help.yes_erase_everything"))
    @click.option("--uninstalled", is_flag=True, help=texts("help.uninstalled"))
    @_timeout(texts, "2m")
    @click.pass_obj
    def destroy(
        context: CliContext,
        /,
        release: str,
        *,
        yes_erase_everything: bool,
        uninstalled: bool,
        timeout: float,
        **target: Any,
    ) -> None:
        from operators.cluster.acts import destroy_release  # noqa: PLC0415

        sure = timeout if yes_erase_everything else None
        context.run(destroy_release(context, texts, target, release, sure, ask_helm=not uninstalled))


def _add_test(group: click.Group, texts: Texts) -> None:
    @group.command(help=texts("help.test"))
    @click.option(
        "--network",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        metavar=texts("metavars.file"),
        help=texts("help.network"),
    )
    @_timeout(texts, "2m")
    @click.pass_obj
    def test(context: CliContext, /, *, network: Path | None, timeout: float) -> None:
        from operators.cluster.trial_act import try_network  # noqa: PLC0415

        context.run(try_network(context, texts, network or context.network, timeout))


def _timeout(texts: Texts, default: str) -> Callable[[F], F]:
    return click.option(
        "--timeout",
        type=Duration(texts),
        default=default,
        show_default=True,
        metavar=texts("metavars.duration"),
        help=texts("help.timeout"),
    )
