"""The rows of the table: a piece of work, the parts it is made of, and how many times their sum it may cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Costs = Mapping[str, Mapping[str, float]]


def _member_cpu(costs: Costs) -> float:
    return costs["ed25519_sign"]["cpu_us"] + costs["follow"]["cpu_us"] + costs["group_insert"]["cpu_us"]


def _store_without_echo(costs: Costs) -> float:
    return costs["append"]["cpu_us"] + 3 * _member_cpu(costs)


def store_parts(costs: Costs) -> float:
    """A TLS echo, one append, and three members that sign, read and insert."""
    return costs["tls_echo"]["cpu_us"] + _store_without_echo(costs)


def retrieve_parts(costs: Costs) -> float:
    """A TLS echo, one signature check and one range read."""
    return costs["tls_echo_large"]["cpu_us"] + costs["ed25519_verify"]["cpu_us"] + costs["range_read"]["cpu_us"]


def batch_parts(costs: Costs) -> float:
    """One echo and twenty times a store's other parts."""
    return costs["tls_echo"]["cpu_us"] + 20 * _store_without_echo(costs)


def onion_parts(costs: Costs) -> float:
    """A store's parts, three layers and three raw TCP echoes."""
    return store_parts(costs) + 3 * (costs["x25519_aead"]["cpu_us"] + costs["tcp_echo"]["cpu_us"])


def onion_latency_parts(costs: Costs) -> float:
    """Four TLS echoes, one append and one group commit, by their medians."""
    return 4 * costs["tls_echo_one"]["p50_ms"] + costs["append_one"]["p50_ms"] + costs["group_commit_alone"]["p50_ms"]


def replay_parts(costs: Costs) -> float:
    """A lean pull of the same stream."""
    return costs["follow_mail"]["rate"]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    key: str
    title: str
    unit: Literal["µs CPU", "ms", "events/s"]
    parts: Callable[[Costs], float]
    #: At most so many times the parts; for a rate, at least.
    bound: float
    ceilings: tuple[str, ...]

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.unit == "events/s"

    def met(self, ratio: float) -> bool:
        """Tell whether a ratio keeps the bound."""
        return ratio >= self.bound if self.is_rate else ratio <= self.bound


_STORE = ("tls_echo", "append", "ed25519_sign", "follow", "group_insert")

ROWS = (
    Row("store", "HTTPS store, swarm of 3, 64 connections", "µs CPU", store_parts, 2.0, _STORE),
    Row(
        "retrieve",
        "HTTPS retrieve of 10, signed, 16 connections",
        "µs CPU",
        retrieve_parts,
        2.0,
        ("tls_echo_large", "ed25519_verify", "range_read"),
    ),
    Row("batch", "batch of 20 stores, 16 connections", "µs CPU", batch_parts, 1.5, _STORE),
    Row(
        "onion",
        "onion store, 3 hops, 64 clients",
        "µs CPU",
        onion_parts,
        2.0,
        (*_STORE, "x25519_aead", "tcp_echo"),
    ),
    Row(
        "onion_latency",
        "onion store, 3 hops, 1 client, p50",
        "ms",
        onion_latency_parts,
        2.0,
        ("tls_echo_one", "append_one", "group_commit_alone"),
    ),
    Row("replay", "replay of a wiped node", "events/s", replay_parts, 0.25, ("follow_mail",)),
)
