"""What processes ask of the kernel while one request is served, in the order in which it happens."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

TRACED = (
    "read,readv,recvfrom,recvmsg,write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync,sync_file_range,openat"
)
ATTACHED_WITHIN_S = 15.0
#: ``1234 1700000000.123456 fsync(7</path/of/file>) = 0``; sockets look like ``<TCP:[127.0.0.1:1->127.0.0.1:2]>``.
_CALL = re.compile(r"^(?P<pid>\d+) +(?P<time>[\d.]+) (?P<name>\w+)\((?P<rest>.*)$")
_RESUMED = re.compile(r"^(?P<pid>\d+) +(?P<time>[\d.]+) <\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")
_DESCRIPTOR = re.compile(r"^-?\d+<(?P<path>.*?)>(?=[,) ])")
_RESULT = re.compile(r"= (?P<result>-?\d+)(?: .*)?$")
_UNFINISHED = " <unfinished ...>"


class SystemCall(NamedTuple):
    """One call that returned.

    Attributes:
        begun, ended: its place among all calls' begins and ends.
        time_s: when it ended, in seconds since 1970.
        thread: which thread called.
        path: of the file or socket that it was about.
        result: what the kernel answered; negative for an error.
    """

    begun: int
    ended: int
    time_s: float
    thread: int
    name: str
    path: str
    result: int


@dataclass
class Trace:
    """A trace under way, and afterwards what it shows."""

    processes: dict[str, int]
    calls: list[SystemCall] = field(default_factory=list)
    #: Threads of each process, seen while the trace was attached.
    threads: dict[int, str] = field(default_factory=dict)

    def of(self, process: str) -> list[SystemCall]:
        """Return what one process called."""
        return [call for call in self.calls if self.threads.get(call.thread) == process]


def why_not() -> str:
    """Say why nothing can be traced here; empty if it can."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    tried = subprocess.run([strace, "-e", "trace=fsync", "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"this machine lets nobody trace: {tried.stderr.strip().splitlines()[-1]}"


@contextmanager
def traced(processes: dict[str, int], output: Path) -> Iterator[Trace]:
    """Trace processes, by name, while the context is open; the trace is complete when it is closed."""
    trace = Trace(processes)
    command = ["strace", "-f", "-ttt", "-yy", "-s", "0", "-e", f"trace={TRACED}", "-o", str(output)]
    for pid in processes.values():
        command += ["-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as tracer:
        try:
            _wait_until_attached(tracer, list(processes.values()))
            yield trace
            for name, pid in processes.items():
                trace.threads.update(dict.fromkeys(_threads(pid), name))
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(ATTACHED_WITHIN_S)
    trace.calls = parse(output.read_text(errors="replace").splitlines())


def parse(lines: Sequence[str]) -> list[SystemCall]:
    """Read what strace wrote; calls that did not return are left out."""
    calls = []
    begun: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines):
        if started := _CALL.match(line):
            first, rest = number, started["rest"]
            if rest.endswith(_UNFINISHED):
                begun[started["pid"]] = number, rest.removesuffix(_UNFINISHED)
                continue
            match = started
        elif (resumed := _RESUMED.match(line)) and resumed["pid"] in begun:
            first, head = begun.pop(resumed["pid"])
            rest, match = head + resumed["rest"], resumed
        else:
            continue
        descriptor, result = _DESCRIPTOR.match(rest + " "), _RESULT.search(rest)
        if descriptor and result:
            calls.append(
                SystemCall(
                    first,
                    number,
                    float(match["time"]),
                    int(match["pid"]),
                    match["name"],
                    descriptor["path"],
                    int(result["result"]),
                )
            )
    return calls


def _wait_until_attached(tracer: subprocess.Popen[bytes], pids: Collection[int]) -> None:
    give_up = time.monotonic() + ATTACHED_WITHIN_S
    while not all(_is_traced(pid, thread) for pid in pids for thread in _threads(pid)):
        assert tracer.poll() is None, "the tracer has ended"
        assert time.monotonic() < give_up, "the tracer does not attach"
        time.sleep(0.02)


def _threads(pid: int) -> list[int]:
    return [int(thread.name) for thread in Path(f"/proc/{pid}/task").iterdir()]


def _is_traced(pid: int, thread: int) -> bool:
    status = Path(f"/proc/{pid}/task/{thread}/status").read_text()
    return "TracerPid:\t0\n" not in status
