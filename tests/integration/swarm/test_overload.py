"""More than a swarm can do: what is acknowledged is stored, what is refused was never begun."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from naisho.protocol.account import AccountKeys
from services.swarm.adapters.mailboxes import MailboxSettings
from services.swarm.adapters.runtime import RuntimeSettings
from services.swarm.domain.ports import Refused

BUSY = (503, "Server busy, try again later")


async def test_what_is_acknowledged_is_stored_and_what_is_refused_was_never_begun(
    swarm: Any, account: bytes, make_store: Any, check_receipts: Any
) -> None:
    few = MailboxSettings(in_flight=24, least=2, patience_s=0.01, wait_s=0.05)
    swarm.settings = RuntimeSettings(mailboxes=few)
    members = await swarm.start()
    mailboxes = members[0].runtime.mailboxes
    stored: list[bytes] = []
    refused: list[Any] = []
    crowd = 0

    async def press(client: int) -> None:
        nonlocal crowd
        for number in range(15):
            data = b"%d of %d" % (number, client)
            try:
                answer = await mailboxes.execute(make_store(account, data))
            except Refused as refusal:
                refused.append((refusal.status, refusal.body))
            else:
                check_receipts(answer, lambda result: result["hash"].encode())
                stored.append(data)
            crowd = max(crowd, mailboxes.entrance.in_flight)

    await asyncio.gather(*(press(client) for client in range(80)))
    assert set(refused) == {BUSY}
    assert len(refused) > 50, "there was no overload"
    assert len(stored) > 50, "overload stopped everything"
    assert mailboxes.entrance.shed == mailboxes.refused == len(refused)
    assert crowd <= 24
    for member in members:
        await member.level()
        assert sorted(await member.messages(account)) == sorted(stored)
    assert (await members[0].mail.identity()).last_sequence == len(stored), "refused before any work"
    assert (mailboxes.entrance.under_way, mailboxes.entrance.in_flight, mailboxes.entrance.waiting) == (0, 0, 0)
    await mailboxes.execute(make_store(account, b"afterwards"))


async def test_a_burst_beyond_the_limit_passes(
    make_swarm: Any, nats_server: Any, account: bytes, make_store: Any
) -> None:
    swarm = make_swarm(nats_server, RuntimeSettings(mailboxes=MailboxSettings(in_flight=8, wait_s=20)))
    members = await swarm.start()
    mailboxes = members[0].runtime.mailboxes
    await asyncio.gather(*(mailboxes.execute(make_store(account, b"%d" % number)) for number in range(100)))
    assert len(await members[0].messages(account)) == 100
    assert mailboxes.entrance.shed == 0
    await swarm.stop()


async def test_a_command_that_waits_for_a_silent_member_takes_no_place_and_counts_as_no_slower(
    make_swarm: Any, nats_server: Any, account: bytes, make_store: Any
) -> None:
    narrow = MailboxSettings(in_flight=64, least=2, wait_s=0.4, members_s=3)
    swarm = make_swarm(nats_server, RuntimeSettings(mailboxes=narrow))
    members = await swarm.start()
    mailboxes = members[0].runtime.mailboxes
    limit = mailboxes.entrance.limit
    await members[2].stop()
    began = time.monotonic()
    answers = await asyncio.gather(*(mailboxes.execute(make_store(account, b"%d" % n)) for n in range(60)))
    assert 3 <= time.monotonic() - began < 6, "all wait for the silent member at the same time"
    assert all(answer.members[members[2].hex]["timeout"] for answer in answers)
    assert mailboxes.entrance.limit >= limit
    await swarm.stop()


async def test_who_crowds_one_mailbox_leaves_room_for_the_others(
    make_swarm: Any, nats_server: Any, account: bytes, make_store: Any
) -> None:
    swarm = make_swarm(nats_server, RuntimeSettings(mailboxes=MailboxSettings(in_flight=64, least=4, wait_s=20)))
    members = await swarm.start()
    mailboxes = members[0].runtime.mailboxes
    others = AccountKeys.generate().account_id.raw
    # Each replaces the one before: they take turns.
    crowd = [asyncio.ensure_future(mailboxes.execute(make_store(account, b"%d" % n, namespace=-21))) for n in range(60)]
    await mailboxes.execute(make_store(others, b"one of another mailbox"))
    waiting = [task for task in crowd if not task.done()]
    assert len(waiting) > 30, "it did not wait behind them"
    assert mailboxes.entrance.under_way <= 4
    assert mailboxes.entrance.in_flight == len(waiting)
    await asyncio.gather(*crowd)
    assert len(await members[0].messages(account, -21)) == 1
    await swarm.stop()


async def test_a_member_known_to_be_away_is_not_waited_for_and_welcome_all_the_same(
    make_swarm: Any, nats_server: Any, account: bytes, make_store: Any
) -> None:
    swarm = make_swarm(nats_server, RuntimeSettings(mailboxes=MailboxSettings(members_s=15)))
    members = await swarm.start()
    runtime = members[0].runtime
    runtime.inquiries.excuse({members[2].hex})
    await members[2].stop()
    began = time.monotonic()
    for number in range(3):
        answer = await runtime.mailboxes.execute(make_store(account, b"%d" % number))
        assert answer.members[members[2].hex] == {"failed": True, "timeout": True}
        assert "signature" in answer.members[members[1].hex]
    assert time.monotonic() - began < 10
    assert runtime.inquiries.silent == 0, "nobody has waited in vain"
    await members[2].start()
    heard = 0
    for number in range(100):  # its answer counts whenever it is not the last one
        answer = await runtime.mailboxes.execute(make_store(account, b"again %d" % number))
        heard += "signature" in answer.members[members[2].hex]
        if heard:
            break
    assert heard, "it was asked, and is heard"
    await swarm.stop()
