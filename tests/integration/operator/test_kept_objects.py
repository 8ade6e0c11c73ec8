"""Objects that outlive everything: users of the log, nodes' keys, registers, the install's node pool."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from naisho.protocol.signing import SigningKey
from operators.membership.domain.errors import KeyFileError
from operators.membership.domain.pool.register import Register
from operators.membership.kube.cluster import Cluster
from operators.membership.kube.errors import Conflict
from operators.membership.kube.foundation import NatsAccount
from operators.membership.kube.node_secrets import NodeSecrets
from operators.membership.kube.pool_file import bring_pool
from operators.membership.kube.registers import Registers
from operators.membership.kube.users import LASTS_S, Users
from operators.membership.kube.vault import Vault
from operators.membership.manifests.site import Site
from operators.membership.nats_rights import authority_user, custodian_user
from services.chassis.nats.names import NetworkNames
from services.chassis.nats.nkey import KeyOf, public_key
from tests.integration.operator.install import INSTALL, NAMESPACE, Install

NOW_S = 1_800_000_000
SITE = Site(INSTALL, INSTALL, NAMESPACE, "")
ACCOUNT = NatsAccount(public_key(b"a" * 32, KeyOf.ACCOUNT), b"s" * 32, b"an authority")
NAMES = NetworkNames("n-1")
RIGHTS = partial(authority_user, NAMES)
HOUR_S = 3600


@pytest.fixture
def vault(cluster: Cluster) -> Vault:
    return Vault(cluster, SITE)


@pytest.fixture
def users(vault: Vault) -> Users:
    return Users(vault, ACCOUNT)


def claims(jwt: str) -> dict[str, Any]:
    part = jwt.split(".")[1]
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return said


def writes(alone: Install) -> list[tuple[str, str]]:
    return [(verb, name) for verb, _, name in alone.api.writes]


# Secrets.


async def test_of_two_makers_one_makes_it_and_both_have_the_same(alone: Install, vault: Vault) -> None:
    made = await asyncio.gather(*(vault.obtain("s", "node", lambda n=n: {"key": b"%d" % n}) for n in range(8)))  # type: ignore[misc]  # bound early
    assert len({content["key"] for content in made}) == 1
    assert await vault.read("s") == made[0]
    assert [verb for verb, _ in writes(alone)].count("create") >= 1


async def test_what_is_there_is_never_replaced(alone: Install, vault: Vault) -> None:
    await vault.obtain("s", "node", lambda: {"key": b"first"})
    assert await vault.obtain("s", "node", lambda: {"key": b"second"}) == {"key": b"first"}
    assert writes(alone) == [("create", "s")]


async def test_texts_are_written_only_if_they_differ(alone: Install, vault: Vault) -> None:
    await vault.keep_texts("c", "seed", {"a": "1"})
    await vault.keep_texts("c", "seed", {"a": "1"})
    await vault.keep_texts("c", "seed", {"a": "2"})
    assert writes(alone) == [("create", "c"), ("patch", "c")]
    assert await vault.text("c", "a") == "2"
    assert await vault.text("c", "b") is None
    assert await vault.text("none", "a") is None


# Users of the log.


async def test_a_user_lasts_and_is_renewed_at_half_of_its_time(alone: Install, users: Users) -> None:
    first = await users.obtain("u", "operator", RIGHTS, now_s=NOW_S)
    assert claims(first.jwt)["exp"] == NOW_S + LASTS_S
    assert await users.obtain("u", "operator", RIGHTS, now_s=NOW_S + LASTS_S // 2) == first
    assert writes(alone) == [("create", "u")]
    later = NOW_S + LASTS_S // 2 + 1
    renewed = await users.obtain("u", "operator", RIGHTS, now_s=later)
    assert claims(renewed.jwt)["exp"] == later + LASTS_S
    assert renewed.seed == first.seed, "its key stays: who holds it need not connect anew at once"
    assert claims(renewed.jwt)["sub"] == claims(first.jwt)["sub"]
    assert await users.obtain("u", "operator", RIGHTS, now_s=later) == renewed


async def test_a_user_of_other_rights_is_signed_anew(alone: Install, users: Users) -> None:
    first = await users.obtain("u", "operator", RIGHTS, now_s=NOW_S)
    changed = await users.obtain("u", "operator", partial(custodian_user, NAMES), now_s=NOW_S + 1)
    assert changed.seed == first.seed
    assert claims(changed.jwt)["nats"] != claims(first.jwt)["nats"]
    assert writes(alone) == [("create", "u"), ("patch", "u")]


async def test_users_of_another_account_or_of_servers_of_another_authority_are_renewed(
    alone: Install, vault: Vault, users: Users
) -> None:
    await users.obtain("u", "operator", RIGHTS, now_s=NOW_S)
    await Users(vault, replace(ACCOUNT, authority=b"another")).obtain("u", "operator", RIGHTS, now_s=NOW_S)
    assert (await vault.read("u") or {})["ca.crt"] == b"another"
    other = replace(ACCOUNT, authority=b"another", signing_seed=b"t" * 32)
    user = await Users(vault, other).obtain("u", "operator", RIGHTS, now_s=NOW_S)
    assert claims(user.jwt)["iss"] == public_key(b"t" * 32, KeyOf.ACCOUNT)
    assert writes(alone) == [("create", "u"), ("patch", "u"), ("patch", "u")]


# A node's own.


@pytest.fixture
def secrets(vault: Vault, users: Users) -> NodeSecrets:
    return NodeSecrets(vault, users, "n-1")


async def test_a_node_gets_a_key_once_and_keeps_it(secrets: NodeSecrets, vault: Vault) -> None:
    key = await secrets.obtain("talk-0", "", now_s=NOW_S)
    content = await vault.read("talk-0-keys") or {}
    assert SigningKey(bytes.fromhex(content["node.key"].decode())).public.hex() == key
    assert set(content) == {"node.key", "certificate.pem", "key.pem"}
    assert set(await vault.read("talk-0-nats") or {}) == {"user.key", "user.jwt", "ca.crt"}
    assert await secrets.obtain("talk-0", "", now_s=NOW_S) == key, "the register may have missed it"
    assert await secrets.obtain("talk-0", key, now_s=NOW_S) == key


async def test_a_node_is_not_looked_at_all_the_time_but_its_user_is_renewed(
    alone: Install, secrets: NodeSecrets, vault: Vault
) -> None:
    key = await secrets.obtain("talk-0", "", now_s=NOW_S)
    calls = alone.api.calls.total()
    assert await secrets.obtain("talk-0", key, now_s=NOW_S + HOUR_S) == key
    assert alone.api.calls.total() == calls
    late = NOW_S + LASTS_S // 2 + HOUR_S
    await secrets.obtain("talk-0", key, now_s=late)
    assert claims((await vault.read("talk-0-nats") or {})["user.jwt"].decode())["exp"] == late + LASTS_S


async def test_a_lost_or_foreign_key_is_refused_and_not_replaced(
    alone: Install, vault: Vault, users: Users, secrets: NodeSecrets
) -> None:
    key = await secrets.obtain("talk-0", "", now_s=NOW_S)
    afresh = NodeSecrets(vault, users, "n-1")
    with pytest.raises(KeyFileError, match="another key"):
        await afresh.obtain("talk-0", "ab" * 32, now_s=NOW_S)
    alone.store.delete("secrets", "talk-0-keys")
    with pytest.raises(KeyFileError, match="is lost"):
        await afresh.obtain("talk-0", key, now_s=NOW_S)
    assert await vault.read("talk-0-keys") is None


async def test_who_has_left_loses_its_user_and_keeps_its_key(secrets: NodeSecrets, vault: Vault) -> None:
    await secrets.obtain("talk-0", "", now_s=NOW_S)
    await secrets.forget("talk-0")
    await secrets.forget("talk-0")
    assert await vault.read("talk-0-nats") is None
    assert await vault.read("talk-0-keys") is not None


# Registers.


async def test_a_register_is_written_only_over_what_was_read(alone: Install, cluster: Cluster) -> None:
    mine, other = Registers(cluster, SITE), Registers(cluster, SITE)
    empty = await mine.read("talk")
    await other.read("talk")
    one = empty.reserved("talk")
    await mine.write("talk", one)
    with pytest.raises(Conflict):
        await other.write("talk", empty)
    assert await other.read("talk") == one
    await other.write("talk", one.keyed("talk-0", "ab" * 32))
    with pytest.raises(Conflict):
        await mine.write("talk", one)
    await mine.read("talk")
    await mine.write("second", Register().reserved("second"))
    assert (await mine.read("talk")).entries["talk-0"].key == "ab" * 32
    alone.store.delete("configmaps", f"{INSTALL}-register")
    with pytest.raises(Conflict):
        await mine.write("talk", one)


# The install's node pool.


def pool(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "naisho.dev/v1alpha1",
        "kind": "NodePool",
        "metadata": {"name": INSTALL, "labels": {"helm": "set this"}},
        "spec": {"replicas": 15, **spec},
    }


def source(alone: Install) -> str:
    made = alone.store.create("configmaps", {"metadata": {"name": f"{INSTALL}-pool"}, "data": {}})
    return str(made["metadata"]["uid"])


def spec_of(alone: Install) -> dict[str, Any]:
    spec: dict[str, Any] = alone.store.get("nodepools", INSTALL)["spec"]
    return spec


async def test_the_pool_is_made_once_and_goes_with_the_config_map_that_it_came_from(
    alone: Install, cluster: Cluster
) -> None:
    uid = source(alone)
    await bring_pool(cluster, SITE, pool())
    await bring_pool(cluster, SITE, pool())
    assert writes(alone) == [("create", INSTALL)]
    meta = alone.store.get("nodepools", INSTALL)["metadata"]
    assert meta["labels"] == {"helm": "set this"}
    (owner,) = meta["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("ConfigMap", f"{INSTALL}-pool", uid)
    assert owner["blockOwnerDeletion"] is False
    alone.store.delete("configmaps", f"{INSTALL}-pool")
    assert alone.store.names("nodepools") == set()


async def test_what_somebody_has_scaled_stays_and_what_changed_in_the_values_is_taken_over(
    alone: Install, cluster: Cluster
) -> None:
    source(alone)
    await bring_pool(cluster, SITE, pool(family="aoi"))
    alone.store.merge("nodepools", INSTALL, {"spec": {"replicas": 21}})
    await bring_pool(cluster, SITE, pool(family="aoi"))
    assert spec_of(alone)["replicas"] == 21
    await bring_pool(cluster, SITE, pool(family="bergen"))
    assert (spec_of(alone)["replicas"], spec_of(alone)["family"]) == (21, "bergen")
    await bring_pool(cluster, SITE, {**pool(), "spec": {"replicas": 18}})
    assert spec_of(alone)["replicas"] == 18, "the values count again once they say something new"


async def test_the_pool_of_an_install_before_is_waited_for_until_it_is_gone(alone: Install, cluster: Cluster) -> None:
    source(alone)
    await bring_pool(cluster, SITE, pool())
    alone.store.merge(
        "nodepools", INSTALL, {"metadata": {"ownerReferences": [{"kind": "ConfigMap", "name": "x", "uid": "gone"}]}}
    )
    with pytest.raises(Conflict, match="waited for"):
        await bring_pool(cluster, SITE, pool())
    alone.store.delete("nodepools", INSTALL)
    await bring_pool(cluster, SITE, pool())
    assert alone.store.names("nodepools") == {INSTALL}


async def test_a_pool_that_somebody_made_by_hand_belongs_to_nobody_and_is_kept(
    alone: Install, cluster: Cluster
) -> None:
    source(alone)
    alone.store.create("nodepools", {"metadata": {"name": INSTALL}, "spec": {"replicas": 15}})
    await bring_pool(cluster, SITE, pool(replicas=18))
    assert spec_of(alone)["replicas"] == 18
