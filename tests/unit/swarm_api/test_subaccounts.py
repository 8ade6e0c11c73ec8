"""Who may sign for an account (wire 4.4) and how that is taken back (wire 4.9)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from naisho.protocol.account import AccountKeys
from naisho.protocol.signing import SigningKey, verify

if TYPE_CHECKING:
    from .conftest import Outcome, Owner, World

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "session-vectors.json").read_text())
READ, WRITE, DELETE, ANY = 1, 2, 4, 8
DAY = 86_400_000


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@dataclass
class Member:
    """A subaccount of an owner's account."""

    owner: Owner
    rights: int = READ | WRITE | DELETE
    prefix: int = 5

    def __post_init__(self) -> None:
        self.key = SigningKey(b"m" * 32)
        self.token = bytes([self.prefix, self.rights, 0, 0]) + self.key.public
        self.granted = self.owner.keys.sign(self.token)

    def signed(self, text: str, **params: Any) -> dict[str, Any]:
        return {
            "pubkey": self.owner.hex,
            "pubkey_ed25519": self.owner.keys.ed25519_public.hex(),
            "signature": b64(self.key.sign(text.encode())),
            "subaccount": self.token.hex(),
            "subaccount_sig": b64(self.granted),
            **params,
        }

    async def store(self, data: bytes, namespace: int, **params: Any) -> Outcome:
        now = self.owner.world.now
        signed = self.signed(f"store{namespace}{now}", namespace=namespace, **params)
        return await self.owner.world.call("store", self.owner.store_params(data) | signed)

    async def retrieve(self, namespace: int, **params: Any) -> Outcome:
        now = self.owner.world.now
        signed = self.signed(f"retrieve{namespace or ''}{now}", namespace=namespace, timestamp=now, **params)
        return await self.owner.world.call("retrieve", signed)


async def revoke(owner: Owner, *tokens: bytes, method: str = "revoke") -> Outcome:
    now = owner.world.now
    text = f"{method}_subaccount{now}".encode() + b"".join(tokens)
    params = owner.signed(text, timestamp=now, **{method: [token.hex() for token in tokens]})
    return await owner.world.call(f"{method}_subaccount", params)


@pytest.mark.parametrize(
    "row",
    [row for row in VECTORS["request_signatures"]["vectors"] if "method" in row["request"]],
    ids=lambda row: row["name"],
)
async def test_signatures_of_the_vectors_are_accepted(world: World, row: dict[str, Any]) -> None:
    vectors = VECTORS["request_signatures"]
    params = {
        "pubkey": vectors["signer_account_id"],
        "pubkey_ed25519": vectors["signer_ed25519_pk"],
        "timestamp": 1_700_000_000_000,
        "ttl": DAY,
        "data": "",
        **row["request"]["params"],
        "signature": row["signature_base64"],
    }
    assert world.now == 1_700_000_000_000
    assert (await world.call(row["request"]["method"], params)).status == 200


@pytest.mark.parametrize("token", ["token_hex", "token_base64"])
async def test_the_vectors_subaccount_of_a_group_is_accepted(world: World, token: str) -> None:
    vector = VECTORS["subaccount"]
    params = {
        "pubkey": vector["group_id"],
        "namespace": 11,
        "timestamp": 1_700_000_000_000,
        "signature": vector["signature_base64"],
        "subaccount": vector[token],
        "subaccount_sig": vector["subaccount_sig_base64"],
    }
    assert (await world.call("retrieve", params)).status == 200
    assert (await world.call("retrieve", params | {"namespace": 12})).status == 401


async def test_a_group_signs_with_its_own_key(world: World, owner: Owner) -> None:
    group = owner.keys.ed25519_public
    params = {
        "pubkey": "03" + group.hex(),
        "timestamp": world.now,
        "signature": owner.sign(f"retrieve{world.now}"),
    }
    assert (await world.call("retrieve", params)).status == 200
    assert (await world.call("retrieve", params | {"signature": owner.sign("other")})).status == 401


async def test_an_account_whose_key_is_not_the_signers(world: World, owner: Owner) -> None:
    other = AccountKeys(b"fedcba9876543210")
    params = {
        "pubkey": owner.hex,
        "pubkey_ed25519": other.ed25519_public.hex(),
        "timestamp": world.now,
        "signature": b64(other.sign(f"retrieve{world.now}".encode())),
    }
    assert await world.call("retrieve", params) == (401, "retrieve signature verification failed")


@pytest.mark.parametrize("rights", range(8))
async def test_rights(world: World, owner: Owner, rights: int) -> None:
    message = await owner.store(b"hello", namespace=2)
    member = Member(owner, rights)
    now = world.now

    async def status(method: str, text: str, **params: Any) -> int:
        return (await world.call(method, member.signed(text, **params))).status

    reads, writes, deletes = (200 if rights & right else 401 for right in (READ, WRITE, DELETE))
    assert (await member.retrieve(2)).status == reads
    assert await status("get_expiries", f"get_expiries{now}{message}", messages=[message], timestamp=now) == reads
    assert (await member.store(b"more", 2)).status == writes
    assert (await member.store(b"more", -21)).status == max(writes, deletes)
    assert await status("expire_all", f"expire_all{now + DAY}", expiry=now + DAY) == deletes
    assert await status("delete_before", f"delete_before{now - 1}", before=now - 1) == deletes
    assert await status("delete", f"delete{message}", messages=[message]) == deletes
    assert await status("delete_all", f"delete_all{now}", timestamp=now) == deletes


async def test_without_the_right_to_delete_expire_only_extends(world: World, owner: Owner) -> None:
    short, long = await owner.store(b"short", ttl=DAY), await owner.store(b"long", ttl=3 * DAY)
    at = world.now + 2 * DAY
    member = Member(owner, WRITE)
    params = member.signed(f"expire{at}{short}{long}", messages=[short, long], expiry=at)
    status, body = await world.call("expire", params)
    assert status == 200
    for key, result in body["swarm"].items():
        assert (result["updated"], "unchanged" in result) == ([short], False)
        text = f"{owner.hex}{at}{short}{long}{short}"
        assert verify(bytes.fromhex(key), text.encode(), base64.b64decode(result["signature"]))
    params = member.signed(f"expireshorten{at}{long}", messages=[long], expiry=at, shorten=True)
    assert await world.call("expire", params) == (
        400,
        "invalid request: 'shorten' needs a subaccount with the right to delete",
    )
    params = member.signed(f"expireextend{at + DAY}{short}", messages=[short], expiry=at + DAY, extend=True)
    assert (await world.call("expire", params)).status == 200
    params = Member(owner, READ | DELETE).signed(f"expire{at}{long}", messages=[long], expiry=at)
    assert (await world.call("expire", params)).status == 401


@pytest.mark.parametrize(("prefix", "rights", "status"), [(5, READ, 200), (3, READ, 401), (3, READ | ANY, 200)])
async def test_prefixes(owner: Owner, prefix: int, rights: int, status: int) -> None:
    assert (await Member(owner, rights, prefix).retrieve(2)).status == status


async def test_a_token_that_the_owner_did_not_sign(owner: Owner) -> None:
    member = Member(owner)
    member.granted = member.key.sign(member.token)
    assert await member.retrieve(2) == (401, "retrieve signature verification failed")


async def test_a_request_that_the_subaccount_did_not_sign(world: World, owner: Owner) -> None:
    params = Member(owner).signed("other", timestamp=world.now)
    params["signature"] = owner.sign(f"retrieve{world.now}")
    assert (await world.call("retrieve", params)).status == 401


async def test_revocation_and_its_undoing(world: World, owner: Owner) -> None:
    member = Member(owner)
    assert (await member.retrieve(2)).status == 200
    status, body = await revoke(owner, member.token)
    assert status == 200
    text = f"{owner.hex}{world.now}".encode() + member.token
    for key, result in body["swarm"].items():
        assert result.keys() == {"signature"}
        assert verify(bytes.fromhex(key), text, base64.b64decode(result["signature"]))
    assert await member.retrieve(2) == (401, "retrieve signature verification failed")
    assert (await member.store(b"more", 2)).status == 401
    status, body = await revoke(owner, member.token, bytes(36), method="unrevoke")
    assert status == 200
    assert all(result["count"] == 1 for result in body["swarm"].values())
    assert (await member.retrieve(2)).status == 200


@pytest.mark.parametrize("namespace", [-11, -111])
async def test_the_revoked_still_read_what_is_meant_for_them(owner: Owner, namespace: int) -> None:
    member = Member(owner)
    await owner.store(b"you are out", namespace=namespace)
    await revoke(owner, member.token)
    status, body = await member.retrieve(namespace)
    assert (status, len(body["messages"])) == (200, 1)
    assert (await member.store(b"still in", namespace)).status == 401
    assert (await Member(owner, WRITE).retrieve(namespace)).status == 401


async def test_revocations_are_listed_for_the_owner(world: World, owner: Owner) -> None:
    await revoke(owner, Member(owner).token, bytes(36))
    now = world.now
    status, body = await world.call("revoked_subaccounts", owner.signed(f"revoked_subaccounts{now}", timestamp=now))
    assert status == 200
    assert body["revoked_subaccounts"] == sorted([b64(bytes(36)), b64(Member(owner).token)])
    params = Member(owner).signed(f"revoked_subaccounts{now}", timestamp=now)
    assert (await world.call("revoked_subaccounts", params)).status == 401


@pytest.mark.parametrize("method", ["revoke", "unrevoke"])
async def test_only_the_owner_revokes(world: World, owner: Owner, method: str) -> None:
    member = Member(owner)
    text = f"{method}_subaccount{world.now}".encode() + bytes(36)
    params: dict[str, Any] = {"timestamp": world.now, method: "00" * 36}
    failed = (401, f"{method}_subaccount signature verification failed")
    signed = member.signed("", **params) | {"signature": b64(member.key.sign(text))}
    assert await world.call(f"{method}_subaccount", signed) == failed
    assert await world.call(f"{method}_subaccount", owner.signed("other", **params)) == failed
    assert (await world.call(f"{method}_subaccount", owner.signed(text, **params))).status == 200
    late = owner.signed(text, **params | {"timestamp": world.now - 60_001})
    assert await world.call(f"{method}_subaccount", late) == (
        406,
        f"{method}_subaccount timestamp too far from current time",
    )
    world.add_other_swarm(owner.keys.account_id.raw)
    assert (await world.call(f"{method}_subaccount", owner.signed(text, **params))).status == 421
