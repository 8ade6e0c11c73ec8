"""Child processes: announced, ended within a bound, explained when they fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from operators.local.children import Child
from operators.local.errors import StartFailed


async def start(tmp_path: Path, code: str) -> Child:
    return await Child.start("part", [sys.executable, "-c", code], log=tmp_path / "part.log")


async def test_a_child_announces_itself_and_goes_when_asked(tmp_path: Path) -> None:
    child = await start(tmp_path, "import signal; print('{\"port\": 7}', flush=True); signal.pause()")
    assert await child.announcement(10) == {"port": 7}
    assert await child.stop()


async def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('{}', flush=True); signal.pause()"
    child = await start(tmp_path, code)
    await child.announcement(10)
    assert not await child.stop(within_s=0.2)


async def test_a_child_that_ends_early_is_quoted(tmp_path: Path) -> None:
    child = await start(tmp_path, "import sys; sys.exit('the disk is full')")
    with pytest.raises(StartFailed, match="the disk is full"):
        await child.announcement(10)


async def test_a_silent_child_is_not_waited_for(tmp_path: Path) -> None:
    child = await start(tmp_path, "import signal; signal.pause()")
    with pytest.raises(StartFailed, match="did not become ready"):
        await child.announcement(0.2)
    await child.stop()
