"""What a network stands on: made once, found again, and never made anew where something was lost."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from naisho.protocol import network_file
from operators.membership.domain.errors import KeyFileError
from operators.membership.kube.authority_certificates import make_authority
from operators.membership.kube.authority_host import KeyMirror
from operators.membership.kube.cluster import Cluster
from operators.membership.kube.foundation import Foundation, lay_foundation
from operators.membership.kube.settings import CertificateSettings, LogSettings, LogSizes, OperatorSettings
from operators.membership.kube.vault import Vault
from operators.membership.manifests.site import Site
from operators.membership.streams import MIB
from services.chassis.clock import ManualClock
from services.chassis.nats.nkey import KeyOf, public_key, seed_text
from services.chassis.settings import Size
from tests.integration.operator.install import INSTALL, NAMESPACE, Install

NOW_MS = 1_800_000_000_000
SITE = Site(INSTALL, INSTALL, NAMESPACE, "")
LASTING = {
    "secrets": {"authority", "mailbox", "ca", "nats-tls", "nats-accounts", "nats-auth"},
    "configmaps": {"network"},
}


@pytest.fixture
def vault(cluster: Cluster) -> Vault:
    return Vault(cluster, SITE)


@pytest.fixture
def settings(alone: Install) -> OperatorSettings:
    return alone.settings()


def content(alone: Install) -> dict[tuple[str, str], dict[str, str]]:
    """Return everything that is kept."""
    return {
        (plural, name): dict(alone.store.get(plural, name)["data"])
        for plural in ("secrets", "configmaps")
        for name in alone.store.names(plural)
    }


def names(alone: Install) -> dict[str, set[str]]:
    return {
        plural: {name.removeprefix(f"{INSTALL}-") for name in alone.store.names(plural)}
        for plural in ("secrets", "configmaps")
    }


def take_away(alone: Install, secret: str, entry: str) -> None:
    alone.store.merge("secrets", f"{INSTALL}-{secret}", {"data": {entry: None}})


async def lay(vault: Vault, settings: OperatorSettings) -> Foundation:
    return await lay_foundation(vault, settings, now_ms=NOW_MS)


async def test_a_new_network_has_all_its_parts_and_none_of_them_an_owner(
    alone: Install, vault: Vault, settings: OperatorSettings
) -> None:
    laid = await lay(vault, settings)
    assert names(alone) == LASTING
    for there in alone.store.every():
        assert "ownerReferences" not in there["metadata"]
        assert there["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "naisho-operator"
    told = alone.store.get("configmaps", f"{INSTALL}-network")["data"]
    assert network_file.parse(told["network.json"]) == laid.network
    assert told["network-id"] == laid.network.network_id
    assert laid.network.seeds == (f"http://{INSTALL}-seed.{NAMESPACE}.svc.cluster.local:8080",)


async def test_the_second_operator_finds_the_same_and_writes_nothing(
    alone: Install, vault: Vault, settings: OperatorSettings
) -> None:
    first = await lay(vault, settings)
    before, writes = content(alone), len(alone.api.writes)
    again = await lay(vault, replace(settings, network_id="n-another"))
    assert again == first, "a network id in the values counts for a network that does not exist yet"
    assert content(alone) == before
    assert len(alone.api.writes) == writes


async def test_of_two_that_lay_it_at_once_both_have_one_network(vault: Vault, settings: OperatorSettings) -> None:
    one, other = await asyncio.gather(lay(vault, settings), lay(vault, settings))
    assert one == other


@pytest.mark.parametrize(("lost", "said"), [("mailbox", "no mail"), ("authority", "key of network")])
async def test_a_lost_key_is_refused_and_nothing_is_made(
    alone: Install, vault: Vault, settings: OperatorSettings, lost: str, said: str
) -> None:
    await lay(vault, settings)
    alone.store.delete("secrets", f"{INSTALL}-{lost}")
    before, writes = content(alone), len(alone.api.writes)
    with pytest.raises(KeyFileError, match=said):
        await lay(vault, settings)
    assert content(alone) == before
    assert len(alone.api.writes) == writes


async def test_the_logs_account_is_not_made_anew(alone: Install, vault: Vault, settings: OperatorSettings) -> None:
    await lay(vault, settings)
    alone.store.delete("secrets", f"{INSTALL}-nats-accounts")
    with pytest.raises(KeyFileError, match="log belongs to that account"):
        await lay(vault, settings)
    assert alone.store.find("secrets", f"{INSTALL}-nats-accounts") is None


async def test_a_damaged_authority_is_told_of(alone: Install, vault: Vault, settings: OperatorSettings) -> None:
    await lay(vault, settings)
    take_away(alone, "authority", "root.public")
    with pytest.raises(KeyFileError, match="damaged"):
        await lay(vault, settings)


async def test_without_root_and_certificate_keys_it_goes_on(
    alone: Install, vault: Vault, settings: OperatorSettings, tmp_path: Path
) -> None:
    """Both may be kept elsewhere: nothing is signed by them from day to day."""
    first = await lay(vault, settings)
    take_away(alone, "authority", "root.key")
    alone.store.delete("secrets", f"{INSTALL}-ca")
    assert await lay(vault, settings) == first
    mirror = KeyMirror(tmp_path / "authority", first.network, ManualClock(NOW_MS))
    mirror.take(await vault.read(f"{INSTALL}-authority") or {})
    assert mirror.keys().keys.network_id == first.network.network_id
    assert mirror.renewed() == {}


async def test_keys_are_renewed_in_time_and_a_root_key_that_goes_elsewhere_leaves_no_copy(
    alone: Install, vault: Vault, settings: OperatorSettings, tmp_path: Path
) -> None:
    laid = await lay(vault, settings)
    clock = ManualClock(NOW_MS)
    mirror = KeyMirror(tmp_path / "authority", laid.network, clock)
    mirror.take(await vault.read(f"{INSTALL}-authority") or {})
    ends_ms = mirror.keys().keys.expires_ms
    clock.jump((ends_ms - NOW_MS) * 2 // 3)
    assert mirror.keys().keys.expires_ms > ends_ms
    renewed = mirror.renewed()
    assert set(renewed) == {"signing-keys.bin"}
    await vault.write(f"{INSTALL}-authority", renewed)
    take_away(alone, "authority", "root.key")
    mirror.take(await vault.read(f"{INSTALL}-authority") or {})
    assert mirror.renewed() == {}
    assert sorted(path.name for path in (tmp_path / "authority").iterdir()) == ["signing-keys.bin", "signing.key"]
    clock.jump((ends_ms - NOW_MS) * 2 // 3)
    assert mirror.keys().keys.expires_ms == mirror.keys().keys.expires_ms, "nothing is renewed without it"
    assert mirror.renewed() == {}


async def test_other_sizes_rewrite_what_the_servers_are_told_and_nothing_else(
    alone: Install, vault: Vault, settings: OperatorSettings
) -> None:
    first = await lay(vault, settings)
    before = content(alone)
    larger = replace(settings, streams=LogSizes(Size(64 * MIB), Size(MIB), Size(16 * MIB)))
    assert await lay(vault, larger) == first
    after = content(alone)
    changed = {place for place, entries in after.items() if entries != before[place]}
    assert changed == {("secrets", f"{INSTALL}-nats-auth")}
    writes = len(alone.api.writes)
    await lay(vault, larger)
    assert len(alone.api.writes) == writes


async def test_other_seeds_are_told_in_the_network_file(
    alone: Install, vault: Vault, settings: OperatorSettings
) -> None:
    first = await lay(vault, settings)
    again = await lay(vault, replace(settings, seeds=("https://seed.example:8443",)))
    assert again.network.seeds == ("https://seed.example:8443", *first.network.seeds)
    told = alone.store.get("configmaps", f"{INSTALL}-network")["data"]["network.json"]
    assert network_file.parse(told) == again.network


async def test_an_account_that_is_given_is_taken(alone: Install, vault: Vault, settings: OperatorSettings) -> None:
    external = replace(settings, nats=LogSettings(("tls://log.example:4222",), managed=False, account_secret="given"))
    with pytest.raises(KeyFileError, match="Secret given is missing"):
        await lay(vault, external)
    seed, account = b"s" * 32, public_key(b"a" * 32, KeyOf.ACCOUNT)
    data = {"account.signing.seed": seed_text(seed, KeyOf.ACCOUNT), "account.public": account + "\n"}
    entries = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    alone.store.create("secrets", {"metadata": {"name": "given"}, "data": entries})
    with pytest.raises(KeyFileError, match="Secret given needs"):
        await lay(vault, external)
    trust = base64.b64encode(b"an authority").decode()
    alone.store.merge("secrets", "given", {"data": {"ca.crt": trust}})
    laid = await lay(vault, external)
    assert (laid.account.public, laid.account.signing_seed, laid.account.authority) == (account, seed, b"an authority")
    assert not names(alone)["secrets"] & {"nats-accounts", "nats-auth", "nats-tls", "ca"}


async def test_certificates_of_somebody_else_are_waited_for(
    alone: Install, vault: Vault, settings: OperatorSettings
) -> None:
    managed = replace(settings, certificates=CertificateSettings(self_made=False))
    with pytest.raises(KeyFileError, match="cert-manager"):
        await lay(vault, managed)
    made = {"ca.crt": base64.b64encode(b"of cert-manager").decode()}
    alone.store.create("secrets", {"metadata": {"name": f"{INSTALL}-nats-tls"}, "data": made})
    assert (await lay(vault, managed)).account.authority == b"of cert-manager"
    assert f"{INSTALL}-ca" not in alone.store.names("secrets")


async def test_the_logs_certificate_holds_by_all_names_and_by_no_other(
    vault: Vault, settings: OperatorSettings, tmp_path: Path
) -> None:
    current = await lay_foundation(vault, settings, now_ms=round(datetime.now(UTC).timestamp() * 1000))
    tls = await vault.read(f"{INSTALL}-nats-tls") or {}
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).write_bytes(tls[name])
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=current.account.authority.decode())
    serving.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    serving.verify_mode = ssl.CERT_REQUIRED  # between servers both sides show one
    calling = ssl.create_default_context(cadata=current.account.authority.decode())
    calling.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    for host in (
        "localhost",
        f"{INSTALL}-nats",
        f"{INSTALL}-nats.{NAMESPACE}.svc",
        f"{INSTALL}-nats-0.{INSTALL}-nats.{NAMESPACE}.svc",
        f"{INSTALL}-nats-2.{INSTALL}-nats.{NAMESPACE}.svc.cluster.local",
    ):
        shake_hands(serving, calling, host)
    for host in ("nats.example", f"{INSTALL}-seed.{NAMESPACE}.svc", f"{INSTALL}-nats.elsewhere.svc"):
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            shake_hands(serving, calling, host)
    stranger = make_authority("stranger", now=datetime.now(UTC))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(serving, ssl.create_default_context(cadata=stranger.certificate.decode()), "localhost")


def shake_hands(serving: ssl.SSLContext, calling: ssl.SSLContext, host: str) -> None:
    """Do a TLS handshake in memory."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = calling.wrap_bio(to_client, to_server, server_hostname=host)
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    done = [False, False]
    while not all(done):
        for number, side in enumerate((client, server)):
            done[number] = done[number] or stepped(side.do_handshake)


def stepped(step: Callable[[], None]) -> bool:
    try:
        step()
    except ssl.SSLWantReadError:
        return False
    return True
