"""Streams that should be larger than the log has room for: the network goes on, says so, and they grow in the end."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from operators.membership import authority
from operators.membership.kube.settings import LogSizes
from operators.membership.streams import MIB
from services.chassis.settings import Size
from tests.integration.operator.install import FEW_NODES, INSTALL, Install


async def mail_bytes(install: Install) -> int:
    page = await asyncio.to_thread(install.log.status, "jsz?accounts=1&streams=1&config=1")
    streams = [stream for account in page["account_details"] for stream in account.get("stream_detail") or ()]
    (size,) = [stream["config"]["max_bytes"] for stream in streams if stream["name"].startswith("MAIL_")]
    return int(size)


async def test_larger_streams_wait_for_the_servers_and_nothing_else_does(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority, "_ROOM_EVERY_MS", 300)
    install.bring()
    first = install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES))
    assert await mail_bytes(install) == 16 * MIB
    before = install.store.get("secrets", f"{INSTALL}-nats-auth")["data"]
    await install.stop_operator(first)

    # As an upgrade with larger `streams` does. The servers read their files a minute or two later.
    install.start_operator(streams=LogSizes(Size(64 * MIB), Size(MIB), Size(16 * MIB)))
    await install.until(lambda: install.condition("ConfigurationWarning") == "LogCramped")
    assert install.store.get("secrets", f"{INSTALL}-nats-auth")["data"] != before, "the account may hold more"
    assert await mail_bytes(install) == 16 * MIB
    epoch = install.status["epoch"]
    install.store.merge("servicenodes", "talk-3", {"metadata": {"annotations": {"naisho.dev/drain": "true"}}})
    await install.until(lambda: install.store.find("servicenodes", "talk-3") is None)
    assert install.status["epoch"] > epoch, "directories are signed meanwhile"

    await asyncio.to_thread(install.log.write_config)
    os.kill(install.log.pid, signal.SIGHUP)
    await install.until(lambda: install.condition("ConfigurationWarning") != "LogCramped")
    assert await mail_bytes(install) == 64 * MIB
    await install.until(lambda: install.whole(FEW_NODES))
