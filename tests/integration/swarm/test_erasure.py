"""What is deleted or has expired is nowhere any more: not in the log's files, not in the nodes'."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.swarm.adapters.custody.custodian import Custodian, CustodianSettings
from services.swarm.adapters.custody.ledger import Ledger
from services.swarm.adapters.runtime import RuntimeSettings
from services.swarm.domain.commands import Delete, Expire

PERIOD_MS = 2000
SETTINGS = RuntimeSettings(key_period_ms=PERIOD_MS, overwrite_within_s=1.0, sweep_s=0.2, margin_s=1)
CUSTODY = CustodianSettings(per_second=200, read_every_s=0.05, key_period_ms=PERIOD_MS, key_grace_ms=100)


class Custody:
    """A custodian with credentials that let it do everything."""

    def __init__(self, swarm: Any) -> None:
        self.swarm = swarm
        self.folder = swarm.folder / "custodian"
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Custodian:
        swarm = self.swarm
        self.ledger = Ledger(self.folder)
        logs = await swarm.open_logs()
        self.custodian = Custodian(
            mail=logs[0], keys=logs[1], names=swarm.names, ledger=self.ledger, clock=swarm.clock, settings=CUSTODY
        )
        self._task = asyncio.create_task(self.custodian.run())
        return self.custodian

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            self.ledger.close()


@pytest.fixture
async def lab(make_swarm: Any, nats_server_factory: Any) -> AsyncIterator[Any]:
    """Return a swarm on a server whose files are its own."""
    swarm = make_swarm(nats_server_factory(), SETTINGS)
    yield swarm
    await swarm.stop()


@pytest.fixture
async def custody(lab: Any) -> AsyncIterator[Custody]:
    made = Custody(lab)
    yield made
    await made.stop()


def files_with(folders: list[Path], needle: bytes) -> list[str]:
    """Return the files under these folders that hold some bytes, whatever they are; one may vanish meanwhile."""
    found: list[str] = []
    for path in (path for folder in folders for path in sorted(folder.rglob("*"))):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and needle in path.read_bytes():
                found.append(path.name)
    return found


def folders(lab: Any) -> list[Path]:
    return [lab.server.config.store, *(member.folder for member in lab.members)]


async def sealed_body(member: Any, command: Any) -> bytes:
    """Return the message's body as it lies in stores and log."""
    place = member.runtime.mailboxes._subjects.place(command.account)
    found = member.store.reader.sealed(place.tag, command.message_hash)
    assert found is not None
    sealed: bytes = found[1]
    return sealed


async def test_a_deleted_message_leaves_every_file(
    lab: Any, custody: Custody, account: bytes, make_store: Any, until: Any
) -> None:
    members = await lab.start()
    custodian = await custody.start()
    doomed, kept = make_store(account, os.urandom(3000)), make_store(account, os.urandom(3000))
    for command in (doomed, kept):
        await members[0].runtime.mailboxes.execute(command)
    bodies = {command: await sealed_body(members[0], command) for command in (doomed, kept)}
    # No file holds what the client sent; every store and the log hold it sealed.
    assert not files_with(folders(lab), doomed.data[:64])
    middle = bodies[doomed][1000:1064]
    assert len(files_with(folders(lab), middle)) == 4

    await members[1].runtime.mailboxes.execute(Delete(account, (doomed.message_hash,)))
    assert await members[0].messages(account) == [kept.data]
    await until(lambda: not files_with(folders(lab), middle), 15)

    assert custodian.copies_erased == 1
    assert custodian.backlog == 0
    # The search does find what is there.
    assert len(files_with(folders(lab), bodies[kept][1000:1064])) == 4


async def test_every_copy_of_a_message_goes(
    lab: Any, custody: Custody, account: bytes, make_store: Any, until: Any
) -> None:
    members = await lab.start()
    custodian = await custody.start()
    command = make_store(account, os.urandom(2000))
    mailboxes = members[0].runtime.mailboxes
    await mailboxes.execute(command)
    bodies = [await sealed_body(members[0], command)]
    for hours in (1, 2):
        later = Expire(account, (command.message_hash,), (command.expiry_ms + hours * 3_600_000,), "extend")
        await mailboxes.execute(later)
        bodies.append(await sealed_body(members[0], command))
    assert len({body[500:564] for body in bodies}) == 3
    await mailboxes.execute(Delete(account, (command.message_hash,)))
    for body in bodies:
        await until(lambda body=body: not files_with(folders(lab), body[500:564]), 15)
    assert custodian.copies_erased == 3


async def test_nothing_due_is_forgotten_over_a_restart(
    lab: Any, custody: Custody, account: bytes, make_store: Any, until: Any
) -> None:
    members = await lab.start()
    commands = [make_store(account, os.urandom(1000)) for _ in range(12)]
    for command in commands:
        await members[0].runtime.mailboxes.execute(command)
    bodies = [await sealed_body(members[0], command) for command in commands]
    await members[0].runtime.mailboxes.execute(Delete(account, tuple(c.message_hash for c in commands)))
    slow = replace(CUSTODY, per_second=20)
    custodian = await custody.start()
    custodian._settings = slow
    await until(lambda: custodian.copies_erased >= 2)
    await custody.stop()
    erased = custodian.copies_erased
    assert erased < 12
    again = await custody.start()
    assert again.backlog > 0
    await until(lambda: again.backlog == 0)
    assert erased + again.copies_erased + again.spared >= 12
    for body in bodies:
        await until(lambda body=body: not files_with(folders(lab), body[500:564]), 15)

    # Even without its ledger: the tombstones are still there.
    await custody.stop()
    shutil.rmtree(custody.folder)
    last = await custody.start()
    await until(lambda: last.spared == 12)


async def test_expired_mail_turns_to_noise_everywhere(
    lab: Any, custody: Custody, account: bytes, make_store: Any, until: Any
) -> None:
    members = await lab.start()
    custodian = await custody.start()
    mailboxes = members[0].runtime.mailboxes
    command = make_store(account, os.urandom(1000), ttl_ms=1500)
    lasting = make_store(account, os.urandom(1000), ttl_ms=600_000)
    await mailboxes.execute(command)
    await mailboxes.execute(lasting)
    period = command.expiry_ms // PERIOD_MS
    key = members[0].runtime._keys._known[period][-1].raw
    holders = files_with(folders(lab), key)
    assert "mailboxes.sqlite-wal" in holders
    assert any(name.endswith(".blk") for name in holders), "the key lies in the log's stream of keys"
    assert await members[1].messages(account) == [command.data, lasting.data]

    await until(lambda: not files_with(folders(lab), key), 20)
    assert lab.clock.now_ms() < (period + 1) * PERIOD_MS + 15_000
    assert custodian.keys_erased >= 1
    for member in members:
        assert await member.messages(account) == [lasting.data]
        assert period not in member.runtime._keys._known


async def test_a_message_vanishes_at_its_second(lab: Any, account: bytes, make_store: Any, until: Any) -> None:
    members = await lab.start()
    command = make_store(account, b"short", ttl_ms=1200)
    await members[0].runtime.mailboxes.execute(command)
    while lab.clock.now_ms() < command.expiry_ms - 50:
        for member in members:
            seen = await member.messages(account)
            assert seen == [b"short"] or lab.clock.now_ms() >= command.expiry_ms - 50
        await asyncio.sleep(0.01)
    await asyncio.sleep((command.expiry_ms - lab.clock.now_ms()) / 1000 + 0.001)
    for member in members:
        assert await member.messages(account) == []
    # A little later the row itself is gone, and the counters with it.
    await until(lambda: all(usage(member, account) == (0, 0) for member in members), 15)


def usage(member: Any, account: bytes) -> tuple[int, int]:
    place = member.runtime.mailboxes._subjects.place(account)
    with member.store.reader.view(place.tag, member.swarm.clock.now_ms()) as view:
        counted: tuple[int, int] = view.usage(0)
    return counted
