"""Several stores of one request: first stores are appended and asked about together, and nobody can tell."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from naisho.protocol import storage_texts
from naisho.protocol.account import AccountKeys
from naisho.protocol.message_hash import hash_text
from operators.local.nats_server import NatsServer
from services.chassis.eventlog.port import LogFull, LogUnavailable
from services.swarm.adapters.mailboxes import MailboxSettings, SwarmMailboxes
from services.swarm.adapters.runtime import RuntimeSettings
from services.swarm.domain.commands import Store
from services.swarm.domain.policies import Quotas
from services.swarm.domain.ports import MemberAnswer, Refused, SwarmAnswer

TIGHT = RuntimeSettings(mailboxes=MailboxSettings(quotas=Quotas(namespace_messages=2)))


def new_account() -> bytes:
    return AccountKeys.generate().account_id.raw


def store_text(result: MemberAnswer) -> bytes:
    return storage_texts.store_result(result["hash"])


async def store_all(mailboxes: SwarmMailboxes, commands: Sequence[Store]) -> list[SwarmAnswer | Refused]:
    async with mailboxes.admitted(len(commands)) as places:
        outcomes = await mailboxes.store_all(commands, places)
    assert (mailboxes.entrance.under_way, mailboxes.entrance.in_flight) == (0, 0), "every place was given back"
    return outcomes


def kinds(outcomes: Sequence[SwarmAnswer | Refused]) -> list[Any]:
    """Return the status of each refusal, and of each answer whether the message was known to this node."""
    return [o.status if isinstance(o, Refused) else "already" in o.own for o in outcomes]


async def test_each_gets_the_signed_answers_of_all(swarm: Any, make_store: Any, check_receipts: Any) -> None:
    members = await swarm.start()
    accounts = [new_account() for _ in range(10)]
    commands = [make_store(accounts[n % 10], b"message %d" % n) for n in range(20)]
    outcomes = await store_all(members[0].runtime.mailboxes, commands)
    for command, outcome in zip(commands, outcomes, strict=True):
        text = storage_texts.store_result(hash_text(command.message_hash))
        check_receipts(outcome, lambda _, text=text: text)
    assert [member.runtime.witness.signed for member in members] == [20] * 3
    for member in members:
        await member.level()
        for number, account in enumerate(accounts):
            expected = [b"message %d" % number, b"message %d" % (number + 10)]
            assert sorted(await member.messages(account)) == sorted(expected)
    assert (await members[0].mail.identity()).last_sequence == 20


@asynccontextmanager
async def started(swarm: Any) -> AsyncIterator[list[Any]]:
    members = await swarm.start()
    try:
        yield members
    finally:
        await swarm.stop()


async def test_what_is_no_first_store_is_carried_out_as_ever(
    make_swarm: Callable[..., Any], nats_server: NatsServer, network_id: str
) -> None:
    del network_id
    tight = make_swarm(nats_server, TIGHT)

    def store(account: bytes, data: bytes, namespace: int = 0) -> Store:
        now = tight.clock.now_ms()
        digest = data.ljust(32, b"\0")
        return Store(account, namespace, digest, data, now, now + 60_000)

    async with started(tight) as members:
        mailboxes = members[0].runtime.mailboxes
        full, other = new_account(), new_account()
        known = [store(full, b"1"), store(full, b"2")]
        assert kinds(await store_all(mailboxes, known)) == [False, False]
        commands = [
            known[0],
            replace(known[1], expiry_ms=known[1].expiry_ms + 1_000),
            store(full, b"3"),
            store(other, b"4"),
            store(other, b"5", namespace=-10),
            store(other, b"4"),
            store(new_account(), b"6"),
        ]
        outcomes = await store_all(mailboxes, commands)
        assert kinds(outcomes)[:3] == [True, True, 403]
        assert kinds(outcomes)[4] is False
        assert kinds(outcomes)[6] is False
        assert not any(isinstance(outcomes[n], Refused) for n in (3, 5)), "the same message twice is one message"
        assert all(len(o.members) == 3 for o in outcomes if isinstance(o, SwarmAnswer))
        for member in members:
            await member.level()
            assert sorted(await member.messages(full)) == [b"1", b"2"]
            assert await member.messages(other) == [b"4"]
            assert await member.messages(other, -10) == [b"5"]
        assert (mailboxes.answered, mailboxes.refused) == (8, 1)


async def test_a_log_that_is_away_refuses_all_and_stores_none(
    make_swarm: Callable[..., Any], nats_server_factory: Callable[[], NatsServer]
) -> None:
    server = nats_server_factory()
    fragile = make_swarm(server)
    async with started(fragile) as members:
        mailboxes = members[0].runtime.mailboxes
        now = fragile.clock.now_ms()
        commands = [Store(new_account(), 0, bytes([n]) * 32, b"%d" % n, now, now + 60_000) for n in range(5)]
        assert kinds(await store_all(mailboxes, commands[:2])) == [False, False]
        await asyncio.to_thread(server.stop)
        assert kinds(await store_all(mailboxes, commands[2:])) == [503, 503, 503]
        await server.start_async()
        await members[0].connection.until_connected()
        async with asyncio.timeout(20):
            while kinds(outcomes := await store_all(mailboxes, commands)) != [True, True, False, False, False]:
                assert all(o.status == 503 for o in outcomes if isinstance(o, Refused))
                await asyncio.sleep(0.05)
        for member in members:
            await member.level()
            assert [await member.messages(command.account) for command in commands] == [[c.data] for c in commands]


class Spoilt:
    """A log whose acknowledgements are kept back: what is appended is in it, and nobody is told."""

    def __init__(self, log: Any, error: Exception, *, every: int) -> None:
        self.appends = 0
        self._log = log
        self._error = error
        self._every = every

    def append(self, *arguments: Any, **options: Any) -> asyncio.Future[int]:
        self.appends += 1
        appended: asyncio.Future[int] = self._log.append(*arguments, **options)
        if self.appends % self._every:
            return appended
        spoilt: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        appended.add_done_callback(lambda _: spoilt.set_exception(self._error))
        return spoilt

    def __getattr__(self, name: str) -> Any:
        return functools.partial(getattr(self._log, name))


@pytest.mark.parametrize("namespace", [0, 2])
async def test_if_it_is_not_known_what_became_of_them_each_finds_out_for_itself(
    swarm: Any, make_store: Any, check_receipts: Any, namespace: int
) -> None:
    members = await swarm.start()
    mailboxes = members[0].runtime.mailboxes
    mailboxes._log = Spoilt(mailboxes._log, LogUnavailable("no answer in time"), every=5)
    commands = [make_store(new_account(), b"message %d" % n, namespace=namespace) for n in range(8)]
    outcomes = await store_all(mailboxes, commands)
    for outcome in outcomes:
        check_receipts(outcome, store_text)
    assert kinds(outcomes) == [True] * 8, "asked for once more, each finds that it is there"
    for member in members:
        await member.level()
        assert [await member.messages(c.account, namespace) for c in commands] == [[c.data] for c in commands]


async def test_a_full_log_says_so_to_each(swarm: Any, make_store: Any) -> None:
    members = await swarm.start()
    mailboxes = members[0].runtime.mailboxes
    mailboxes._log = Spoilt(mailboxes._log, LogFull("full"), every=2)
    outcomes = await store_all(mailboxes, [make_store(new_account(), b"%d" % n) for n in range(3)])
    assert kinds(outcomes) == [503] * 3
    assert all("full" in o.body for o in outcomes if isinstance(o, Refused))
    assert mailboxes.refused == 3


async def test_without_places_for_all_each_is_let_in_by_itself(swarm: Any, make_store: Any) -> None:
    members = await swarm.start()
    mailboxes = members[0].runtime.mailboxes
    commands = [make_store(new_account(), b"%d" % n) for n in range(4)]
    assert kinds(await mailboxes.store_all(commands)) == [False] * 4
    assert (mailboxes.entrance.under_way, mailboxes.entrance.in_flight) == (0, 0)
