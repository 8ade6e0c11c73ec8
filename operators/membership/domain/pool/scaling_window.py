"""What each node did lately: counters of successive scrapes, turned into rates over the spans between them.

A span reaches from one scrape of a node to its next. A scrape that failed makes a longer span and loses nothing; a
process that began anew, or a node that was silent for too long, leaves a hole. Nothing is made up for holes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from operators.membership.domain.policy import SECOND_MS

#: Load is averaged over so long before the pool grows by it.
AVERAGED_MS: Final = 60 * SECOND_MS
#: Two scrapes further apart say nothing of the time between them.
LONGEST_SPAN_MS: Final = 150 * SECOND_MS
#: Spans that are kept of each node, about.
_MOST_SPANS: Final = 60


class Sample(NamedTuple):
    """What one node's two processes said at one scrape.

    Attributes:
        stores: commands that change mailboxes, counted since ``swarm`` began.
        onions: onion layers from other nodes, counted since ``onion`` began.
        cpu_s: CPU time of both processes since they began.
        held_bytes: in the node's store, now.
        begun: when ``onion`` and ``swarm`` began, in seconds; another value means another process.
    """

    stores: float
    onions: float
    cpu_s: float
    held_bytes: float
    begun: tuple[float, float]


class Load(NamedTuple):
    """Work per second."""

    stores_per_s: float = 0.0
    onions_per_s: float = 0.0
    #: Of one core, both processes together.
    cpu_percent: float = 0.0

    def plus(self, other: Load, weight: float = 1.0) -> Load:
        """Return the sum, the other one weighted."""
        return Load(*(mine + theirs * weight for mine, theirs in zip(self, other, strict=True)))


class Span(NamedTuple):
    """A node's load between two scrapes."""

    begin_ms: int
    end_ms: int
    load: Load


@dataclass(frozen=True, slots=True)
class Track:
    """One node's newest sample, and the spans before it in order."""

    at_ms: int
    sample: Sample
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """The last minutes of all nodes. Never changed: observing returns another one.

    Attributes:
        horizon_ms: how far back it reaches.
        end_ms: when it was last added to.
        tracks: by node.
    """

    horizon_ms: int
    end_ms: int = 0
    tracks: Mapping[str, Track] = field(default_factory=dict)

    @classmethod
    def over(cls, stabilization_ms: int) -> Self:
        """Return an empty window that reaches far enough for a policy."""
        return cls(max(stabilization_ms, AVERAGED_MS))

    def emptied(self) -> Window:
        """Return the window without anything in it: while nodes move, what they do is no measure of the load."""
        return Window(self.horizon_ms)

    def observe(self, samples: Mapping[str, Sample], at_ms: int) -> Window:
        """Return the window with one more scrape of all nodes.

        A scrape that follows too soon is left out, which bounds the window however often it is added to. If the clock
        was set back, the window begins anew.

        Args:
            samples: of the nodes that answered.
            at_ms: when they were asked.
        """
        if at_ms < self.end_ms:
            return self.emptied().observe(samples, at_ms)
        if self.tracks and at_ms - self.end_ms < self.horizon_ms // _MOST_SPANS:
            return self
        tracks = {name: track for name, track in self.tracks.items() if at_ms - track.at_ms <= LONGEST_SPAN_MS}
        for name, sample in samples.items():
            tracks[name] = _continued(self.tracks.get(name), sample, at_ms, at_ms - self.horizon_ms)
        return Window(self.horizon_ms, at_ms, tracks)

    def is_complete(self, names: Collection[str], back_ms: int = 0) -> bool:
        """Tell whether all nodes answered in the last scrape and no span is missing since so long before it."""
        return all(
            (track := self.tracks.get(name)) is not None
            and track.at_ms == self.end_ms
            and _reaches(track, self.end_ms - back_ms)
            for name in names
        )

    def average(self, name: str) -> Load | None:
        """Return a node's mean load over the last minute; ``None`` if less than half of that is known."""
        track = self.tracks.get(name)
        load, known_ms = Load(), 0
        for span in track.spans if track is not None else ():
            inside_ms = span.end_ms - max(span.begin_ms, self.end_ms - AVERAGED_MS)
            if inside_ms > 0:
                load = load.plus(span.load, inside_ms)
                known_ms += inside_ms
        return Load().plus(load, 1 / known_ms) if 2 * known_ms >= AVERAGED_MS else None

    def totals(self, names: Collection[str], back_ms: int) -> Iterator[Load]:
        """Yield the sum of the nodes' loads at each scrape since so long before the last one."""
        spans = [track.spans for name in names if (track := self.tracks.get(name)) is not None]
        since_ms = self.end_ms - max(back_ms, 1)
        moments = sorted({span.end_ms for line in spans for span in line if span.end_ms > since_ms})
        sums = dict.fromkeys(moments, Load())
        for line in spans:
            ahead = iter(line)
            span = next(ahead, None)
            for moment in moments:
                while span is not None and span.end_ms < moment:
                    span = next(ahead, None)
                if span is not None and span.begin_ms < moment:
                    sums[moment] = sums[moment].plus(span.load)
        yield from sums.values()

    def fullest(self, names: Collection[str]) -> float | None:
        """Return the bytes that the fullest known node holds."""
        return max((self.tracks[name].sample.held_bytes for name in names if name in self.tracks), default=None)


def _continued(track: Track | None, sample: Sample, at_ms: int, oldest_ms: int) -> Track:
    if track is None:
        return Track(at_ms, sample)
    spans = [span for span in track.spans if span.end_ms > oldest_ms]
    load = _load_between(track, sample, at_ms)
    if load is not None:
        spans.append(Span(track.at_ms, at_ms, load))
    return Track(at_ms, sample, tuple(spans))


def _load_between(track: Track, sample: Sample, at_ms: int) -> Load | None:
    """Return the load since a node's last sample; ``None`` if a process began anew, or that was too long ago."""
    before, seconds = track.sample, (at_ms - track.at_ms) / SECOND_MS
    grown = (sample.stores - before.stores, sample.onions - before.onions, (sample.cpu_s - before.cpu_s) * 100)
    if sample.begun != before.begun or min(grown) < 0 or not 0 < at_ms - track.at_ms <= LONGEST_SPAN_MS:
        return None
    return Load(*(amount / seconds for amount in grown))


def _reaches(track: Track, since_ms: int) -> bool:
    """Tell whether spans without a hole reach from a moment to the newest sample."""
    edge_ms = track.at_ms
    for span in reversed(track.spans):
        if span.end_ms != edge_ms:
            return False
        edge_ms = span.begin_ms
        if edge_ms <= since_ms:
            return True
    return False
