from __future__ import annotations

from typing import Any


async def test_store_and_retrieve(swarm: Any, account: bytes, make_store: Any, check_receipts: Any) -> None:
    members = await swarm.start()
    command = make_store(account, b"hello")
    answer = await members[0].runtime.mailboxes.execute(command)
    check_receipts(answer, lambda result: result["hash"].encode())
    for member in members:
        await member.level()
        assert await member.messages(account) == [b"hello"]
