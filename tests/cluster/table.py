"""What came of each step, as JSON and as the table of docs/operating/cluster-test.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HEADER = """\
# What an installed network bears

`make cluster-test` on a real Kubernetes ({version}; {machine}), {when}. The network is what `helm install` gives:
fifteen nodes, three NATS servers, operator and custodian, all from one image. Load: {load}.
*Whole* means that every pod is ready and of the newest template, and every node active and level with the log. After
each step every acknowledged message is read back from every member of its swarm while the load goes on.

"""
COLUMNS = (
    "step",
    "seconds until whole",
    "lost",
    "undone deletions",
    "messages checked",
    "copies checked",
    "epochs",
    "shards that changed owner (at most)",
    "requests (failed, by kind of error)",
)


@dataclass(frozen=True)
class Outcome:
    """One step's."""

    step: str
    seconds: float
    lost: int | None = None
    undone: int | None = None
    unread: int | None = None
    messages: int = 0
    copies: int = 0
    epochs: int | None = None
    changed: int | None = None
    allowed: int | None = None
    requests: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether nothing was lost and nothing moved that need not."""
        return not (self.lost or self.undone or self.unread) and (self.changed or 0) <= (self.allowed or 0)


def write(outcomes: Sequence[Outcome], facts: dict[str, Any], folder: Path) -> None:
    """Write both."""
    rows = [
        (
            outcome.step,
            f"{outcome.seconds:.0f}",
            _shown(outcome.lost),
            _shown(outcome.undone),
            f"{outcome.messages:,}" if outcome.lost is not None else "–",
            f"{outcome.copies:,}" if outcome.lost is not None else "–",
            _shown(outcome.epochs),
            "–" if outcome.changed is None else f"{outcome.changed} ({outcome.allowed})",
            _requests(outcome),
        )
        for outcome in outcomes
    ]
    lines = [f"| {' | '.join(cells)} |" for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows)]
    (folder / "cluster-test.md").write_text(HEADER.format(**facts) + "\n".join(lines) + "\n" + facts["notes"], "utf-8")
    data = {"facts": facts, "steps": [asdict(outcome) for outcome in outcomes]}
    (folder / "cluster-test.json").write_text(json.dumps(data, indent=1) + "\n", "utf-8")


def _requests(outcome: Outcome) -> str:
    if not outcome.requests:
        return "–"
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(outcome.failed.items()))
    return f"{outcome.requests:,} ({sum(outcome.failed.values()):,}{': ' if kinds else ''}{kinds})"


def _shown(value: int | None) -> str:
    return "–" if value is None else str(value)
