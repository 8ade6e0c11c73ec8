"""Three members of a swarm on one log: every answer is everybody's, signed, and all hold the same."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from dataclasses import replace
from typing import Any

import pytest

from naisho.protocol.message_hash import hash_text
from services.swarm.adapters.mailboxes import MailboxSettings
from services.swarm.adapters.runtime import RuntimeSettings
from services.swarm.domain.commands import (
    ALL,
    Command,
    Delete,
    DeleteAll,
    DeleteBefore,
    Expire,
    ExpireAll,
    Revoke,
    Unrevoke,
)
from services.swarm.domain.policies import Quotas
from services.swarm.domain.ports import Refused
from services.swarm.domain.results import result_text

TOKEN = b"t" * 36


async def states(swarm: Any, account: bytes) -> list[Any]:
    """Return what each member has of an account."""
    found = []
    for member in swarm.members:
        await member.level()
        place = member.runtime.mailboxes._subjects.place(account)
        with member.store.reader.view(place.tag, swarm.clock.now_ms()) as view:
            found.append((list(view.list(ALL)), list(view.revoked()), view.last_sequence))
    return found


async def test_every_command_is_answered_and_signed_by_all(
    swarm: Any, account: bytes, make_store: Any, check_receipts: Any
) -> None:
    members = await swarm.start()
    stores = [make_store(account, b"message %d" % n, namespace=n % 2 * 2) for n in range(8)]
    now, hashes = swarm.clock.now_ms(), [store.message_hash for store in stores]
    hour = 3_600_000
    commands: list[Command] = [
        *stores,
        stores[0],
        replace(stores[1], expiry_ms=stores[1].expiry_ms + hour),
        Expire(account, (hashes[2], b"x" * 32), (now + hour,), "any"),
        Expire(account, (hashes[2], hashes[3]), (now + 2 * hour,), "extend"),
        Expire(account, (hashes[2], hashes[3]), (now + hour, now + hour), "shorten", listed=True),
        Expire(account, (hashes[4],), (now,), "any", extend_only=True),
        ExpireAll(account, 0, now + 30_000),
        ExpireAll(account, ALL, now + 20_000),
        Delete(account, (hashes[5], b"y" * 32)),
        Delete(account, (hashes[5],)),
        DeleteBefore(account, 2, now - 1),
        DeleteBefore(account, 2, now + 1_000),
        DeleteAll(account, 0, now),
        DeleteAll(account, ALL, now),
        Revoke(account, (TOKEN, b"u" * 36), now),
        Unrevoke(account, (TOKEN,), now),
        Unrevoke(account, (TOKEN,), now),
    ]
    for number, command in enumerate(commands):
        answer = await members[number % 3].runtime.mailboxes.execute(command)
        check_receipts(answer, lambda result, command=command: result_text(account.hex(), command, result))
        own = {key: value for key, value in answer.own.items() if key != "signature"}
        for result in answer.members.values():
            assert {key: value for key, value in result.items() if key != "signature"} == own, command
    first, *others = await states(swarm, account)
    assert first[0] == []
    assert first[1] == [b"u" * 36]
    assert others == [first, first]


async def test_a_second_store_is_known_everywhere(swarm: Any, account: bytes, make_store: Any) -> None:
    members = await swarm.start()
    command = make_store(account, b"once")
    answers = [await members[number].runtime.mailboxes.execute(command) for number in (0, 1, 0)]
    assert [["already" in result for result in answer.members.values()] for answer in answers] == [
        [False] * 3,
        [True] * 3,
        [True] * 3,
    ]
    assert (await members[0].mail.identity()).last_sequence == 1


@pytest.mark.parametrize("number", [0, 1])
async def test_what_is_acknowledged_is_on_the_disk_of_the_node_that_answers(
    swarm: Any, account: bytes, make_store: Any, number: int
) -> None:
    """Also what another node took before, for whose sake this one needed no disk."""
    members = await swarm.start()
    command = make_store(account, b"once")
    await members[1].runtime.mailboxes.execute(command)
    member = members[number]
    await member.level()
    writer = member.store._writer
    commits = writer._commits
    await member.runtime.mailboxes.execute(command)
    assert commits > 0
    assert writer._synced >= commits


async def test_who_finds_all_done_when_its_turn_comes_answers_behind_a_sync(
    swarm: Any, account: bytes, make_store: Any
) -> None:
    """Decided again in its turn, the command has nothing left to append: what it rests on is not its own."""
    members = await swarm.start()
    mailboxes = members[0].runtime.mailboxes
    stored = make_store(account, b"once")
    await mailboxes.execute(stored)
    syncs: list[bool] = []
    sync = mailboxes._sync

    async def counted() -> None:
        syncs.append(True)
        await sync()

    mailboxes._sync = counted
    delete = Delete(account, (stored.message_hash,))
    answers = await asyncio.gather(*(mailboxes.execute(delete) for _ in range(3)))
    assert [bool(answer.own["deleted"]) for answer in answers] == [True, False, False]
    assert len(syncs) == 2


async def test_duplicates_that_race_become_one_message(
    swarm: Any, account: bytes, make_store: Any, check_receipts: Any, until: Any
) -> None:
    members = await swarm.start()
    for turn in range(10):
        command = make_store(account, b"racing %d" % turn)
        later = replace(command, expiry_ms=command.expiry_ms + 1_000, timestamp_ms=command.timestamp_ms + 1)
        between = make_store(account, b"between %d" % turn)
        answers = await asyncio.gather(
            members[0].runtime.mailboxes.execute(command),
            members[2].runtime.mailboxes.execute(between),
            members[1].runtime.mailboxes.execute(later),
        )
        for answer in answers:
            check_receipts(answer, lambda result: result["hash"].encode())
    await until(lambda: not any(member.runtime.mender.needed for member in members))
    found = await states(swarm, account)
    assert len(found[0][0]) == 20
    assert found[1:] == [found[0]] * 2
    # Whoever reads the log from its beginning comes to the same order.
    await members[2].stop()
    shutil.rmtree(members[2].folder)
    await members[2].start()
    assert [m.message_hash for m in (await states(swarm, account))[2][0]] == [m.message_hash for m in found[0][0]]


async def test_changes_that_race_are_decided_one_after_the_other(
    swarm: Any, account: bytes, make_store: Any, check_receipts: Any
) -> None:
    members = await swarm.start()
    stores = [make_store(account, b"%d" % number, namespace=-21) for number in range(9)]
    await asyncio.gather(
        *(members[number % 3].runtime.mailboxes.execute(command) for number, command in enumerate(stores))
    )
    found = await states(swarm, account)
    assert len(found[0][0]) == 1, "an outbox holds one message"
    assert found[1:] == [found[0]] * 2
    inbox = [make_store(account, b"in %d" % number) for number in range(6)]
    for command in inbox:
        await members[0].runtime.mailboxes.execute(command)
    hashes = [command.message_hash for command in inbox]
    answers = await asyncio.gather(
        *(members[number % 3].runtime.mailboxes.execute(Delete(account, tuple(hashes))) for number in range(6))
    )
    deleted = [answer.own["deleted"] for answer in answers]
    assert sorted(deleted, key=len)[:5] == [[]] * 5, "each message is deleted once"
    assert max(deleted, key=len) == sorted(map(hash_text, hashes))
    for answer in answers:
        check_receipts(answer, lambda result: result_text(account.hex(), Delete(account, tuple(hashes)), result))


async def test_a_silent_member_is_waited_for_no_longer_than_agreed(
    make_swarm: Any, nats_server: Any, account: bytes, make_store: Any, until: Any
) -> None:
    swarm = make_swarm(nats_server, RuntimeSettings(mailboxes=MailboxSettings(members_s=0.4)))
    members = await swarm.start()
    mailboxes = members[0].runtime.mailboxes
    await members[2].stop()
    for turn in range(4):
        begun = time.monotonic()
        answer = await mailboxes.execute(make_store(account, b"%d" % turn))
        waited = time.monotonic() - begun
        assert answer.members[members[2].hex] == {"failed": True, "timeout": True}
        assert "signature" in answer.members[members[1].hex]
        # After some misses nobody waits for it any more.
        assert (waited >= 0.4) == (turn < 3)
    await members[2].start()
    await mailboxes.execute(make_store(account, b"it hears of this one"))
    await until(lambda: not mailboxes._inquiries._misses)
    answer = await mailboxes.execute(make_store(account, b"and answers again"))
    assert "signature" in answer.members[members[2].hex]
    await swarm.stop()


async def test_a_wiped_member_and_a_restarted_one_are_whole_again(swarm: Any, account: bytes, make_store: Any) -> None:
    members = await swarm.start()
    await members[1].stop()
    for number in range(30):
        await members[0].runtime.mailboxes.execute(make_store(account, os.urandom(200), namespace=number % 3))
    await members[0].runtime.mailboxes.execute(DeleteAll(account, 1, swarm.clock.now_ms()))
    await members[2].stop()
    shutil.rmtree(members[2].folder)
    await members[2].start()
    await members[1].start()
    first, second, third = await states(swarm, account)
    assert len(first[0]) == 20
    assert first == second == third


async def test_beyond_the_bounds_everything_is_refused_before_any_work(
    make_swarm: Any, nats_server: Any, account: bytes, make_store: Any
) -> None:
    swarm = make_swarm(nats_server, RuntimeSettings(mailboxes=MailboxSettings(in_flight=4, wait_s=0)))
    members = await swarm.start()
    mailboxes = members[0].runtime.mailboxes
    outcomes = await asyncio.gather(
        *(mailboxes.execute(make_store(account, b"%d" % number)) for number in range(12)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert len(refused) == 8
    assert {(r.status, r.body) for r in refused} == {(503, "Server busy, try again later")}
    assert len(await members[0].messages(account)) == 4
    assert mailboxes.entrance.in_flight == 0
    await swarm.stop()


async def test_quotas_count_what_lives(make_swarm: Any, nats_server: Any, account: bytes, make_store: Any) -> None:
    settings = RuntimeSettings(mailboxes=MailboxSettings(quotas=Quotas(namespace_messages=3)))
    swarm = make_swarm(nats_server, settings)
    members = await swarm.start()
    execute = members[0].runtime.mailboxes.execute
    for number in range(3):
        await execute(make_store(account, b"%d" % number))
    with pytest.raises(Refused) as refusal:
        await execute(make_store(account, b"one too many"))
    assert refusal.value.status == 403
    await execute(make_store(account, b"elsewhere", namespace=2))
    await execute(DeleteAll(account, 0, swarm.clock.now_ms()))
    await execute(make_store(account, b"room again"))
    await swarm.stop()


async def test_a_log_that_is_away_loses_nothing(
    make_swarm: Any, nats_server_factory: Any, account: bytes, make_store: Any
) -> None:
    server = nats_server_factory()
    swarm = make_swarm(server)
    members = await swarm.start()
    stored: list[bytes] = []
    refusals: set[int] = set()

    async def keep_storing(member: Any) -> None:
        for number in range(60):
            data = b"%s %d" % (member.hex[:6].encode(), number)
            try:
                await member.runtime.mailboxes.execute(make_store(account, data))
            except Refused as refusal:
                refusals.add(refusal.status)
                await asyncio.sleep(0.02)
            else:
                stored.append(data)

    async def accidents() -> None:
        for _ in range(3):
            await asyncio.sleep(0.15)
            await asyncio.to_thread(server.kill)
            await server.start_async()

    await asyncio.gather(accidents(), *(keep_storing(member) for member in members))
    assert len(stored) > 20
    assert refusals <= {503}
    lists = []
    for member in members:
        await member.level()
        lists.append(await member.messages(account))
    assert lists[0] == lists[1] == lists[2]
    assert len(set(lists[0])) == len(lists[0]), "nothing is there twice"
    assert set(stored) <= set(lists[0]), "what was acknowledged is there"
    await swarm.stop()
