"""A member that lags behind the log answers for what others have acknowledged, not for what it has seen."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from services.swarm.adapters.mailboxes import MailboxSettings
from services.swarm.domain.commands import Delete, DeleteAll, Expire


@contextlib.contextmanager
def writing_held_up(member: Any) -> Iterator[None]:
    """Keep a member's store from writing: events come, and wait."""
    release = threading.Event()

    def wait(connection: sqlite3.Connection) -> None:
        del connection
        release.wait(20)

    member.store._writer.run_alone(wait)
    try:
        yield
    finally:
        release.set()


@pytest.mark.parametrize("change", ["delete", "delete_all", "expire"])
async def test_what_is_not_folded_yet_is_found_all_the_same(
    swarm: Any, account: bytes, make_store: Any, change: str
) -> None:
    swarm.settings = replace(swarm.settings, mailboxes=MailboxSettings(members_s=0.2))
    ahead, behind, _ = await swarm.start()
    message = make_store(account, b"acknowledged elsewhere")
    hashes = (message.message_hash,)
    expiry = message.expiry_ms + 1000
    command = {
        "delete": Delete(account, hashes),
        "delete_all": DeleteAll(account, 0, message.timestamp_ms),
        "expire": Expire(account, hashes, (expiry,), "extend"),
    }[change]
    with writing_held_up(behind):
        await ahead.runtime.mailboxes.execute(message)
        assert await behind.messages(account) == []
        answering = asyncio.create_task(behind.runtime.mailboxes.execute(command))
        done, _ = await asyncio.wait({answering}, timeout=0.3)
        assert not done, "answered without knowing what the log has"
    answer = await answering
    assert len(answer.own.get("deleted") or answer.own.get("updated")) == 1
    for member in (ahead, behind):
        await member.level()
        left = await member.runtime.mailboxes.expiries(account, hashes)
        assert left == ({message.message_hash: expiry} if change == "expire" else {})
