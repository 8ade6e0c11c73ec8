"""Measure everything: ``make bench``, or with ``--pairs N``, ``--rows store,onion``, ``--json``.

Subject and ceilings take turns, nine times: the machine's speed drifts, ratios of neighbours do not.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from operators.local.nats_server import NatsServer
from tests.bench import footprint, report
from tests.bench.measuring import Ceilings
from tests.bench.replay import Replays
from tests.bench.rows import ROWS, Row
from tests.bench.subject import Subject
from tests.networks import RunningNetwork

#: Every node is asked from one address here; the limit for one address would measure itself.
SETTINGS = {"onion": {"rate.per_second": "1000000", "rate.burst": "1000000"}}


def main() -> int:
    """Run the bench; return 1 if a row is missed by more than a quarter."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--pairs", type=int, default=9, help="how often subject and ceilings take turns")
    parser.add_argument("--rows", default="", help="only these rows, by key, separated by commas")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--no-footprint", action="store_true", help="leave memory, disk, start and overload out")
    options = parser.parse_args()
    chosen = [row for row in ROWS if not options.rows or row.key in options.rows.split(",")]
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="naisho-bench-") as name, Progress(console=console) as progress:
        folder = Path(name)
        results = _measure_rows(chosen, options.pairs, folder, progress)
        memory = {} if options.no_footprint else footprint.measure(folder, progress)
    if not options.rows and not options.no_footprint:
        report.write(results, memory)
    found = {"rows": [result.as_json() for result in results], "memory": memory}
    sys.stdout.write(json.dumps(found) + "\n" if options.json else report.table(results, memory))
    return int(any(not _nearly(result.row, result.ratio) for result in results))


def _measure_rows(rows: list[Row], pairs: int, folder: Path, progress: Progress) -> list[report.Result]:
    results = {row.key: report.Result(row) for row in rows}
    task = progress.add_task("bench", total=len(rows) * pairs)
    nats = NatsServer.plain(folder / "ceiling-nats")
    nats.start()
    try:
        with RunningNetwork(folder / "network", "--nodes", "3", settings=SETTINGS) as network:
            ceilings = Ceilings(nats, folder)
            replays = Replays(nats)
            subject = Subject(network, folder)
            subject.prepare()
            for pair in range(pairs):
                costs: dict[str, Mapping[str, float]] = {}
                for row in rows:
                    # Parts that several rows share are measured before the first of them.
                    for name in row.ceilings if row.key != "replay" else ():
                        if name not in costs:
                            progress.update(task, description=f"{name} {pair + 1}/{pairs}")
                            costs[name] = ceilings.measure(name)
                    progress.update(task, description=f"{row.key} {pair + 1}/{pairs}")
                    result = results[row.key]
                    if row.key == "replay":
                        part, figure = replays.measure()
                        result.parts.append(part)
                        result.figures.append(figure)
                    else:
                        found = subject.run(row.key)
                        result.parts.append(row.parts(costs))
                        result.figures.append(found.p50_ms if row.unit == "ms" else found.cpu_us)
                        result.rates.append(found.rate)
                    progress.advance(task)
    finally:
        nats.stop()
    return list(results.values())


def _nearly(row: Row, ratio: float) -> bool:
    return ratio >= row.bound / 1.25 if row.is_rate else ratio <= row.bound * 1.25


if __name__ == "__main__":
    sys.exit(main())
