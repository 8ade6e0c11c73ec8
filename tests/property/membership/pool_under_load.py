"""A pool on paper whose load depends on its size, as that of a real one does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from operators.membership.domain.assignment import MOST_SWARMS, SwarmSizes, swarm_count
from operators.membership.domain.pool.scaling import Decision, Fleet, decide
from operators.membership.domain.pool.scaling_policy import ScalingPolicy
from operators.membership.domain.pool.scaling_window import Sample, Window

SCRAPE_MS: Final = 15_000
START_MS: Final = 1_800_000_000_000
SIZES: Final = SwarmSizes()


@dataclass(frozen=True, slots=True)
class Work:
    """What the whole network has to do; CPU in percent of a core.

    Attributes:
        stores: commands a second, shared out among all nodes.
        onions: layers a second, shared out among all nodes.
        shared_cpu: shared out among all nodes.
        swarm_cpu: what every member of a swarm does, were there one swarm; shared out among swarms.
        idle_cpu: of a node that does nothing.
        held: bytes of all messages; every member of a swarm holds its swarm's.
    """

    stores: float = 0
    onions: float = 0
    shared_cpu: float = 0
    swarm_cpu: float = 0
    idle_cpu: float = 0
    held: float = 0


@dataclass
class Pool:
    """Obeys decisions at once: nodes come and leave between two scrapes.

    Attributes:
        swarms: their places on the ring, 0 to 127.
    """

    policy: ScalingPolicy
    size: int
    now_ms: int = START_MS
    changed_ms: int | None = None
    swarms: list[int] = field(default_factory=lambda: [0])

    def __post_init__(self) -> None:
        self._window = Window.over(self.policy.stabilization_ms)
        self._samples: dict[str, Sample] = {}
        self._settle()

    @property
    def fleet(self) -> Fleet:
        return Fleet(self.size, frozenset(f"net-{n}" for n in range(self.size)), len(self.swarms))

    @property
    def fullest_share(self) -> float:
        """The largest part of the ring that one swarm has: half of the gaps to its neighbours."""
        gaps = [gap for gap, _ in self._gaps()]
        return max(gap + before for gap, before in zip(gaps, [gaps[-1], *gaps[:-1]], strict=True)) / 2 / MOST_SWARMS

    def cpu(self, work: Work) -> float:
        return work.shared_cpu / self.size + work.swarm_cpu / len(self.swarms) + work.idle_cpu

    def pass_time(self, work: Work, scrapes: int = 1) -> None:
        """Let all nodes work, scraped all along."""
        seconds = SCRAPE_MS / 1000
        for _ in range(scrapes):
            self.now_ms += SCRAPE_MS
            for name in self.fleet.nodes:
                before = self._samples.get(name, Sample(0, 0, 0, 0, (1, 1)))
                self._samples[name] = Sample(
                    before.stores + work.stores / self.size * seconds,
                    before.onions + work.onions / self.size * seconds,
                    before.cpu_s + self.cpu(work) / 100 * seconds,
                    work.held * self.fullest_share,
                    before.begun,
                )
            self._window = self._window.observe(self._samples, self.now_ms)

    def decide(self) -> Decision:
        return decide(self.policy, self.fleet, self._window, self.changed_ms, self.now_ms)

    def obey(self, decision: Decision) -> None:
        if decision.replicas == self.size:
            return
        self.size, self.changed_ms = decision.replicas, self.now_ms
        self._settle()
        self._window = self._window.emptied()
        self._samples = {name: sample for name, sample in self._samples.items() if name in self.fleet.nodes}

    def _settle(self) -> None:
        """Let swarms be split and merged until there are as many as so many nodes form."""
        wanted = swarm_count(self.size, len(self.swarms), SIZES)
        while len(self.swarms) > wanted:
            self.swarms.pop()  # whichever has the fewest members: any
        while len(self.swarms) < wanted:
            gap, begin = max(self._gaps())
            self.swarms = sorted([*self.swarms, (begin + gap // 2) % MOST_SWARMS])

    def _gaps(self) -> list[tuple[int, int]]:
        """Return the gaps behind each swarm, and where they begin."""
        behind = [*self.swarms[1:], self.swarms[0] + MOST_SWARMS]
        return [(after - place, place) for place, after in zip(self.swarms, behind, strict=True)]
