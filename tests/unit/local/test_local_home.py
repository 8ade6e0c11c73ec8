"""The data directory: held by one, emptied only if it is a network's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from operators.local import plan as plans
from operators.local.errors import AlreadyRunning, BrokenHome, NotRunning
from operators.local.home import NetworkHome, Running


@pytest.fixture
def home(tmp_path: Path) -> NetworkHome:
    home = NetworkHome(tmp_path / "network")
    home.create()
    return home


def test_only_one_process_holds_it(home: NetworkHome) -> None:
    with home.locked(), pytest.raises(AlreadyRunning, match="naisho network status"), home.locked():
        pass
    with home.locked():
        pass


def test_nobody_runs_it_before_and_after(home: NetworkHome) -> None:
    with pytest.raises(NotRunning, match="naisho network up"):
        home.read_running()
    running = Running(os.getpid(), 1, {"nats": 2}, "http://127.0.0.1:1")
    home.write_running(running)
    assert home.read_running() == running
    home.clear_running()
    with pytest.raises(NotRunning):
        home.read_running()


def test_a_network_that_was_killed_is_not_running(home: NetworkHome) -> None:
    process_that_is_gone = 2**22 + 1  # above the highest process id that Linux gives out
    home.write_running(Running(process_that_is_gone, 1, {}, ""))
    with pytest.raises(NotRunning):
        home.read_running()


def test_files_are_private(home: NetworkHome) -> None:
    home.write_plan(plans.new_plan(range(33), seeds=2))
    assert stat.S_IMODE((home.root / "plan.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700


def test_emptying_leaves_other_peoples_files_alone(home: NetworkHome) -> None:
    home.write_plan(plans.new_plan(range(33), seeds=2))
    stranger = home.root / "thesis.tex"
    stranger.write_text("years of work")
    with pytest.raises(BrokenHome, match=r"thesis\.tex"):
        home.empty()
    assert home.exists()
    stranger.unlink()
    home.empty()
    assert not home.exists()
    assert not (home.root / "nats").exists()
