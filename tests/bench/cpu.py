"""CPU time and memory of processes, as the operating system accounts for them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Usage:
    """CPU seconds (user and system) and wall seconds between two readings."""

    cpu_s: float
    wall_s: float


class CpuMeter:
    """Reads the CPU time of a fixed set of processes, all their threads included.

    ``schedstat`` counts in nanoseconds, so that short runs are not rounded to clock ticks.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = list(pids)
        self._cpu_ns = self._read()
        self._wall = time.perf_counter()

    def _read(self) -> int:
        total = 0
        for pid in self._pids:
            for thread in psutil.Process(pid).threads():
                with open(f"/proc/{pid}/task/{thread.id}/schedstat", encoding="ascii") as file:  # noqa: PTH123 - hot
                    total += int(file.read().split()[0])
        return total

    def stop(self) -> Usage:
        """Return what has been used since this meter was made."""
        return Usage((self._read() - self._cpu_ns) / 1e9, time.perf_counter() - self._wall)


def resident_mb(pids: Iterable[int]) -> float:
    """Return the processes' resident memory in MB, shared pages counted in each."""
    return float(sum(psutil.Process(pid).memory_info().rss for pid in pids)) / 1e6


def proportional_mb(pids: Iterable[int]) -> float:
    """Return the processes' proportional set size in MB: shared pages counted once in all."""
    return float(sum(psutil.Process(pid).memory_full_info().pss for pid in pids)) / 1e6
