"""``naisho load``: a load test of the network that one is in."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from naisho.cli.context import CliContext
from naisho.texts import Texts
from operators.load import texts as catalogs

F = TypeVar("F", bound=Callable[..., Any])

USUAL_RATE, USUAL_SECONDS = 20.0, 60.0
FAILED = 1


def load(shared: Texts) -> click.Command:
    """Return the command, in the user's language."""
    # What is slow to import is imported where it is used: ``naisho --help`` must not wait for it.
    from operators.load.arrivals import Spacing  # noqa: PLC0415
    from operators.load.mix import Mix  # noqa: PLC0415
    from operators.load.plan import read_ramp, read_seconds  # noqa: PLC0415
    from operators.load.sizes import Sizes  # noqa: PLC0415
    from operators.load.wishes import Reads, read_lifetime  # noqa: PLC0415

    texts = catalogs.load(shared.language)
    time, ramp = Reads("time", read_seconds, texts), Reads("ramp", read_ramp, texts)
    mix, sizes = Reads("mix", Mix.parse, texts), Reads("size", Sizes.parse, texts)
    count = click.IntRange(1)
    file = click.Path(path_type=Path, dir_okay=False)

    def option(*names: str, **settings: Any) -> Callable[[F], F]:
        key = names[-1].removeprefix("--").replace("-", "_").partition("/")[0]
        return click.option(*names, help=texts(f"help.{key}"), **settings)

    @click.command("load", help=texts("help.load"))
    @option("--rate", type=click.FloatRange(0.0, min_open=True))
    @option("--for", type=time, metavar="TIME")
    @option("--ramp", type=ramp, multiple=True, metavar="FROM:TO:TIME")
    @option("--spacing", type=click.Choice([each.value for each in Spacing]), default="poisson")
    @option("--mix", type=mix, default="store=6,retrieve=3,delete=1", metavar="NAME=WEIGHT,…")
    @option("--size", type=sizes, default="1024", metavar="BYTES")
    @option("--ttl", type=Reads("lifetime", read_lifetime, texts), default="1h", metavar="TIME")
    @option("--accounts", type=count, default=1000)
    @option("--way", type=click.Choice(["onion", "straight"]), default="onion")
    @option("--paths", type=count, default=16)
    @option("--under-way", type=count, default=512)
    @option("--timeout", type=time, default="10s", metavar="TIME")
    @option("--tries", type=count, default=3)
    @option("--processes", type=click.IntRange(1, 64), default=1)
    @option("--seed", type=int)
    @option("--metrics", multiple=True, metavar="URL")
    @option("--report", type=file)
    @option("--no-check", is_flag=True)
    @option("--patience", type=time, default="30s", metavar="TIME")
    @option("--max-error-rate", type=click.FloatRange(0, 1))
    @option("--max-p99", type=time, metavar="TIME")
    @click.pass_obj
    def load(context: CliContext, /, **given: Any) -> None:
        twin = _run(context, texts, given)
        if given["report"] is not None:
            _write(twin, given["report"], texts)
        _tell(context, texts, twin, given["report"])
        sys.exit(0 if twin["verdict"]["passed"] else FAILED)

    return load


def _run(context: CliContext, texts: Texts, given: dict[str, Any]) -> dict[str, Any]:
    from naisho.network.joining import find_network_file  # noqa: PLC0415 - as above
    from operators.load.arrivals import Spacing  # noqa: PLC0415
    from operators.load.conducting import Concert, conduct  # noqa: PLC0415
    from operators.load.errors import BadPlan, LoadError  # noqa: PLC0415
    from operators.load.running import Load  # noqa: PLC0415
    from operators.load.screen import progress  # noqa: PLC0415
    from operators.load.twin import Wanted  # noqa: PLC0415
    from operators.load.wishes import plan_of  # noqa: PLC0415

    try:
        plan = plan_of(given["rate"], given["for"], given["ramp"], (USUAL_RATE, USUAL_SECONDS))
    except BadPlan as error:
        raise click.UsageError(texts("wrong.plan")) from error
    whole = Load(
        plan=plan,
        spacing=Spacing(given["spacing"]),
        mix=given["mix"],
        sizes=given["size"],
        accounts=max(given["accounts"], given["processes"]),
        onion=given["way"] == "onion",
        paths=given["paths"],
        under_way=given["under_way"],
        seconds=given["timeout"],
        tries=given["tries"],
        ttl_s=given["ttl"],
        seed=given["seed"],
    )
    max_p99 = given["max_p99"]
    concert = Concert(
        network_file=find_network_file(context.data_dir, context.environment, context.network),
        load=whole,
        processes=given["processes"],
        pages=given["metrics"],
        check=not given["no_check"],
        patience_s=given["patience"],
        wanted=Wanted(given["max_error_rate"], None if max_p99 is None else max_p99 * 1000),
        options={name.replace("_", "-"): _plain(value) for name, value in given.items() if name != "report"},
    )
    try:
        with progress(texts, plan.seconds) as shown:
            return context.run(conduct(concert, shown))
    except LoadError as error:
        key = f"errors.{type(error).__name__}"
        raise click.ClickException(texts(key, reason=error)) from error


def _plain(value: Any) -> Any:
    """Return an option as it would be written."""
    if type(value) is tuple:
        return [_plain(each) for each in value]
    return getattr(value, "text", value)


def _write(twin: dict[str, Any], file: Path, texts: Texts) -> None:
    from operators.load.report import render  # noqa: PLC0415 - as above

    file.write_text(render(twin, texts), encoding="utf-8")
    file.with_suffix(".json").write_text(json.dumps(twin, indent=1) + "\n", encoding="utf-8")


def _tell(context: CliContext, texts: Texts, twin: dict[str, Any], report: Path | None) -> None:
    if context.json:
        click.echo(json.dumps(twin))
        return
    from rich.console import Console  # noqa: PLC0415 - as above

    from operators.load.screen import summary  # noqa: PLC0415

    console = Console(highlight=False)
    console.print(summary(texts, twin))
    if report is not None:
        console.print(texts("screen.written", report=report, twin=report.with_suffix(".json")))
