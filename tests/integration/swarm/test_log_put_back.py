"""An older copy of the log is put back under a running swarm: nothing acknowledged is lost, nothing deleted returns."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.swarm.adapters.following import FollowingSettings
from services.swarm.adapters.runtime import RuntimeSettings
from services.swarm.domain.commands import Delete, Expire, Revoke

SETTINGS = RuntimeSettings(following=FollowingSettings(check_s=0.3, retry_s=0.1), agree_s=5.0)


@pytest.fixture
async def lab(make_swarm: Any, nats_server_factory: Any) -> AsyncIterator[Any]:
    """Return a swarm on a server of its own, whose log can be put back."""
    swarm = make_swarm(nats_server_factory(), SETTINGS)
    yield swarm
    await swarm.stop()


async def mended(swarm: Any, until: Any) -> None:
    await until(lambda: all(m.runtime.following.changed_logs and m.whole() for m in swarm.members), 30)


async def test_what_the_log_lost_is_appended_again(
    lab: Any, account: bytes, make_store: Any, tmp_path: Path, until: Any
) -> None:
    members = await lab.start()
    mailboxes = [member.runtime.mailboxes for member in members]
    early = [make_store(account, b"early %d" % n) for n in range(10)]
    for number, command in enumerate(early):
        await mailboxes[number % 3].execute(command)

    await lab.bounce(lambda: lab.server.copy_store(tmp_path / "backup"))

    late = [make_store(account, b"late %d" % n, ttl_ms=60_000 + 3_600_000 * n) for n in range(10)]
    for number, command in enumerate(late):
        await mailboxes[number % 3].execute(command)
    await mailboxes[0].execute(Delete(account, (early[3].message_hash, late[4].message_hash)))
    extended = Expire(account, (early[5].message_hash,), (early[5].expiry_ms + 500_000,), "extend")
    await mailboxes[1].execute(extended)
    await mailboxes[2].execute(Revoke(account, (b"t" * 36,), early[0].timestamp_ms))
    before = [await member.messages(account) for member in members]
    assert before[0] == before[1] == before[2]
    assert before[0] == [c.data for c in (*early, *late) if c not in (early[3], late[4])]

    await lab.bounce(lambda: lab.server.replace_store(tmp_path / "backup"))
    await mended(lab, until)
    # Nine messages, one extension, one deletion, one revocation: each once, whoever was first.
    assert sum(member.runtime.mender.appended for member in members) == 12

    for member in members:
        await member.level()
        assert await member.messages(account) == before[0]
        assert await member.runtime.mailboxes.revoked(account) == {b"t" * 36}
        expiries = await member.runtime.mailboxes.expiries(account, [early[5].message_hash])
        assert expiries == {early[5].message_hash: early[5].expiry_ms + 500_000}

    # New mail lies behind the old, on every member, and behind what was appended again.
    for number in range(3):
        await mailboxes[number].execute(make_store(account, b"new %d" % number))
    expected = [*before[0], b"new 0", b"new 1", b"new 2"]
    for member in members:
        await member.level()
        assert await member.messages(account) == expected

    # The log has it all: a member that lost its disk becomes the same again.
    wiped = members[1]
    await wiped.stop()
    shutil.rmtree(wiped.folder)
    await wiped.start()
    assert await wiped.messages(account) == expected
    assert await wiped.runtime.mailboxes.revoked(account) == {b"t" * 36}


async def test_a_log_made_anew_gets_everything(lab: Any, account: bytes, make_store: Any, until: Any) -> None:
    members = await lab.start()
    for number in range(6):
        await members[number % 3].runtime.mailboxes.execute(make_store(account, b"message %d" % number))
    before = await members[0].messages(account)

    await lab.bounce(lambda: shutil.rmtree(lab.server.config.store))
    await lab.provision(3)
    await mended(lab, until)

    wiped = members[2]
    await wiped.stop()
    shutil.rmtree(wiped.folder)
    await wiped.start()
    assert [await member.messages(account) for member in members] == [before] * 3


async def test_mail_stored_before_anybody_noticed_keeps_its_place(
    lab: Any, account: bytes, make_store: Any, tmp_path: Path, until: Any
) -> None:
    """A member that missed the accident goes on appending at once; the others' old mail still comes first."""
    lab.settings = replace(SETTINGS, following=FollowingSettings(check_s=1.0, retry_s=0.1))
    members = await lab.start()
    for number in range(5):
        await members[0].runtime.mailboxes.execute(make_store(account, b"early %d" % number))
    await lab.bounce(lambda: lab.server.copy_store(tmp_path / "backup"))
    for number in range(5):
        await members[0].runtime.mailboxes.execute(make_store(account, b"late %d" % number))
    before = await members[0].messages(account)
    for member in members:
        await member.stop()
    lab.server.stop()
    lab.server.replace_store(tmp_path / "backup")
    lab.server.start()

    # One member comes back with an empty disk: for it the old copy is all there ever was.
    newcomer = members[2]
    shutil.rmtree(newcomer.folder)
    await newcomer.start()
    await newcomer.runtime.mailboxes.execute(make_store(account, b"meanwhile"))
    for member in members[:2]:
        await member.start(wait=False)
    await until(lambda: all(m.whole() for m in members))
    # A second turn settles what came out of order while the others were away.
    await until(lambda: not any(m.runtime.mender.needed for m in members))

    expected = [*before, b"meanwhile"]
    for member in members:
        await member.level()
        assert await member.messages(account) == expected
    shutil.rmtree(await stopped(members[0]))
    await members[0].start()
    assert await members[0].messages(account) == expected


async def stopped(member: Any) -> Path:
    await member.stop()
    folder: Path = member.folder
    return folder
