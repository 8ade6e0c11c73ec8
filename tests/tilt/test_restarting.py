"""The program that stays in a live pod while its code changes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.charts.rendering import ROOT

SCRIPT = (ROOT / "tilt" / "restarting.py").read_text("utf-8")
SAYING = "import time\nprint({word!r}, flush=True)\ntime.sleep(60)\n"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Return an image's folder of packages; the first line that its operator says is ``before``."""
    folder = tmp_path / "packages"
    for name in ("naisho", "services", "operators"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").touch()
    (folder / "operators" / "saying.py").write_text(SAYING.format(word="before"))
    (folder / "operators" / "__pycache__").mkdir()
    return folder


@pytest.fixture
async def running(packages: Path, tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    main = SCRIPT.replace('Path(sysconfig.get_path("purelib"))', f"Path({str(packages)!r})")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", main, sys.executable, "-m", "operators.saying"),
        env={
            **os.environ,
            "NAISHO_LIVE": str(tmp_path / "live"),
            "PYTHONSAFEPATH": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()  # and with it what it runs
        async with asyncio.timeout(30):
            await process.communicate()


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout
    async with asyncio.timeout(20):
        return (await process.stdout.readline()).decode().strip()


async def test_changed_code_runs_and_the_end_is_passed_on(
    running: asyncio.subprocess.Process, packages: Path, tmp_path: Path
) -> None:
    live = tmp_path / "live"
    assert await _line(running) == "before"
    assert not (live / "operators" / "__pycache__").exists(), "the image's bytecode would be believed"
    (live / "operators" / "saying.py").write_text(SAYING.format(word="after"))
    os.utime(live / "changed")
    assert await _line(running) == "after"
    assert "before" in (packages / "operators" / "saying.py").read_text(), "the image's own files stay"
    running.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        assert await running.wait() != 0


async def test_what_ends_by_itself_is_waited_for(running: asyncio.subprocess.Process, tmp_path: Path) -> None:
    live = tmp_path / "live"
    assert await _line(running) == "before"
    (live / "operators" / "saying.py").write_text("oops(\n")
    os.utime(live / "changed")
    (live / "operators" / "saying.py").write_text(SAYING.format(word="mended"))
    os.utime(live / "changed")
    assert await _line(running) == "mended"
    assert running.returncode is None
