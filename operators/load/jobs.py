"""What is handed from the conducting process to those that make the load, as JSON values. Pure.

One JSON document a line. To a generating process: its `Job`; ``{"go": SECONDS}`` by the machine's monotonic clock;
``{"stop": true}`` to end the plan early. From it: ``ready``, a ``tick`` each second, ``checking``, and at last
``result``, or ``failed`` with the reason.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from operators.load.arrivals import Share, Spacing
from operators.load.mix import Mix
from operators.load.plan import Phase, Plan
from operators.load.running import Load
from operators.load.sizes import Sizes

#: A line at most: results of a long run hold a histogram for each stretch of time.
LONGEST_LINE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Job:
    """What one generating process is to do.

    Attributes:
        network_file: path of the network file.
        load: its own part.
        check: whether to read everything back at the end.
        patience_s: of that check.

    """

    network_file: str
    load: Load
    check: bool = True
    patience_s: float = 30.0

    def encode(self) -> dict[str, Any]:
        """Return it as JSON values."""
        load = self.load
        plain = {name: value for name, value in asdict(load).items() if name not in {"plan", "mix", "sizes", "share"}}
        phases = [[p.start, p.end, None if math.isinf(p.seconds) else p.seconds] for p in load.plan.phases]
        parts = {"plan": phases, "mix": load.mix.text, "sizes": load.sizes.text, "share": list(load.share)}
        return {
            "network_file": self.network_file,
            "load": plain | parts,
            "check": self.check,
            "patience_s": self.patience_s,
        }

    @classmethod
    def decode(cls, values: dict[str, Any]) -> Job:
        """Return what was encoded."""
        plain = dict(values["load"])
        phases = [Phase(start, end, math.inf if s is None else s) for start, end, s in plain.pop("plan")]
        load = Load(
            plan=Plan.of(phases),
            mix=Mix.parse(plain.pop("mix")),
            sizes=Sizes.parse(plain.pop("sizes")),
            share=Share(*plain.pop("share")),
            spacing=Spacing(plain.pop("spacing")),
            **plain,
        )
        return cls(values["network_file"], load, values["check"], values["patience_s"])


class Tick(NamedTuple):
    """How a run stands.

    Attributes:
        seconds: since its beginning.
        offered: how many requests were due so far.
        acknowledged: how many of them were acknowledged.
        errors: how many came to another end.
        under_way: how many have not come to an end.
        latest: latencies of the last whole stretch of time, encoded.

    """

    seconds: float
    offered: int
    acknowledged: int
    errors: int
    under_way: int
    latest: str


def divide(load: Load, processes: int) -> list[Load]:
    """Return what each of several processes does, so that all of it is done by all of them together."""

    def part(whole: int, number: int) -> int:
        return max(1, whole // processes + (number < whole % processes))

    return [
        replace(
            load,
            share=Share(number, processes),
            accounts=part(load.accounts, number),
            paths=part(load.paths, number),
            under_way=part(load.under_way, number),
        )
        for number in range(processes)
    ]
