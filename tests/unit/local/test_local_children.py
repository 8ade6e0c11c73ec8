"""Child processes: ended within a bound, explained when they fail."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from operators.local.children import Child


async def start(tmp_path: Path, code: str) -> Child:
    return await Child.start("part", [sys.executable, "-c", code], log=tmp_path / "part.log")


async def ready(tmp_path: Path) -> None:
    async with asyncio.timeout(10):
        while not (tmp_path / "ready").exists():  # noqa: ASYNC110 - another process's file
            await asyncio.sleep(0.01)


async def test_a_child_goes_when_asked(tmp_path: Path) -> None:
    child = await start(tmp_path, f"import signal; open({str(tmp_path / 'ready')!r}, 'w'); signal.pause()")
    await ready(tmp_path)
    assert child.alive
    assert await child.stop()
    assert not child.alive


async def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    code = f"""import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open({str(tmp_path / "ready")!r}, "w")
while True: signal.pause()"""
    child = await start(tmp_path, code)
    await ready(tmp_path)
    assert not await child.stop(within_s=0.2)


async def test_the_end_of_a_childs_log_explains_its_end(tmp_path: Path) -> None:
    child = await start(tmp_path, "import sys; sys.exit('the disk is full')")
    assert await child.ended() == 1
    assert "the disk is full" in child.tail()
