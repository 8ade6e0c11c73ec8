"""What a network stands on: its keys, its account in the log, the log's certificates, its network file.

All of it is made once, by the first operator of an install, and lasts; see ADR 14 for what lies where. A part that is
missing while a later one is there is not made anew: it was lost, and must be restored from a backup.
"""

from __future__ import annotations

import secrets
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from naisho.protocol import network_file
from naisho.protocol.network_file import NetworkFile
from operators.membership import keys as key_files
from operators.membership.domain.errors import KeyFileError
from operators.membership.kube.authority_certificates import Certified, make_authority, make_server
from operators.membership.kube.settings import OperatorSettings
from operators.membership.kube.vault import Content, Vault
from operators.membership.nats_jwt import AccountLimits, TrustKeys, auth_conf
from services.chassis.nats.nkey import KeyOf, public_key, read_seed, seed_text

NETWORK_ID: Final = "network-id"
NETWORK: Final = "network.json"
#: How many copies of all streams may be reserved: nothing else lives in the account.
_SPARE: Final = 1.25


@dataclass(frozen=True, slots=True)
class NatsAccount:
    """The network's account in the log, as far as users are made for it.

    Attributes:
        public: ``A…``.
        signing_seed: 32 bytes; signs users.
        authority: PEM of what stands behind the servers' certificates.
    """

    public: str
    signing_seed: bytes = field(repr=False)
    authority: bytes


@dataclass(frozen=True, slots=True)
class Foundation:
    """A network's lasting parts."""

    network: NetworkFile
    account: NatsAccount


async def lay_foundation(vault: Vault, settings: OperatorSettings, *, now_ms: int) -> Foundation:
    """Return a network's lasting parts; what is missing of a new network is made.

    Raises:
        KeyFileError: a part is missing or damaged that cannot be made anew.
        KubeError: the API server does not answer, or refuses.
    """
    install = settings.install
    await _refuse_what_is_lost(vault, install)
    made = _new_keys(settings, now_ms=now_ms)
    await vault.obtain(f"{install}-mailbox", "node", lambda: made.mailbox)
    authority = await vault.obtain(f"{install}-authority", "operator", lambda: made.authority)
    network = _network(authority, settings)
    await vault.keep_texts(
        f"{install}-network",
        "seed",
        {NETWORK: network_file.render(network), NETWORK_ID: network.network_id},
    )
    return Foundation(network, await _account(vault, settings, network.network_id, now_ms=now_ms))


async def _refuse_what_is_lost(vault: Vault, install: str) -> None:
    """Make nothing anew that there was once.

    Raises:
        KeyFileError: a part is missing although one is there that was made later.
    """
    if await vault.read(f"{install}-authority") is None:
        if (lost := await vault.text(f"{install}-network", NETWORK_ID)) is not None:
            raise KeyFileError(
                f"Secret {install}-authority is gone, the key of network {lost}; restore it from a backup"
            )
    elif await vault.read(f"{install}-mailbox") is None:
        raise KeyFileError(
            f"Secret {install}-mailbox is gone, and without its key no mail is found again; restore it from a backup"
        )


@dataclass(frozen=True, slots=True)
class _Keys:
    authority: Content = field(repr=False)
    mailbox: Content = field(repr=False)


def _new_keys(settings: OperatorSettings, *, now_ms: int) -> _Keys:
    network_id = settings.network_id or f"n-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as folder:
        root = key_files.create_keys(Path(folder) / "keys", network_id=network_id, now_ms=now_ms)
        files = {path.name: path.read_bytes() for path in (Path(folder) / "keys").iterdir()}
    mailbox = {key_files.MAILBOX: files.pop(key_files.MAILBOX)}
    return _Keys({**files, NETWORK_ID: network_id.encode(), "root.public": root.hex().encode()}, mailbox)


def _network(authority: Content, settings: OperatorSettings) -> NetworkFile:
    try:
        network_id = authority[NETWORK_ID].decode()
        root = bytes.fromhex(authority["root.public"].decode())
    except (KeyError, ValueError) as error:
        raise KeyFileError(f"Secret {settings.install}-authority is damaged; restore it from a backup") from error
    inside = f"http://{settings.install}-seed.{settings.namespace}.svc.{settings.cluster_domain}:8080"
    return NetworkFile(network_id, (root,), seeds=(*settings.seeds, inside), name=settings.network_name)


async def _account(vault: Vault, settings: OperatorSettings, network_id: str, *, now_ms: int) -> NatsAccount:
    if not settings.nats.managed:
        return await _given_account(vault, settings)
    install = settings.install
    conf_there = await vault.read(f"{install}-nats-auth")
    if conf_there is not None and await vault.read(f"{install}-nats-accounts") is None:
        raise KeyFileError(
            f"Secret {install}-nats-accounts is gone, and the log belongs to that account; restore it from a backup"
        )
    seeds = await vault.obtain(f"{install}-nats-accounts", "operator", _new_trust)
    trust = TrustKeys(
        *(
            read_seed(seeds[name].decode(), of)
            for name, of in (
                ("operator.seed", KeyOf.OPERATOR),
                ("account.seed", KeyOf.ACCOUNT),
                ("account.signing.seed", KeyOf.ACCOUNT),
                ("system.seed", KeyOf.ACCOUNT),
            )
        )
    )
    sizes = settings.sizes()
    reserved = (sizes.mail_bytes + sizes.keys_bytes + sizes.membership_bytes) * sizes.replicas
    limits = AccountLimits(disk_bytes=round(reserved * _SPARE))
    # Issued at the beginning of time: the same keys and limits give the same text, whoever writes it.
    conf = auth_conf(trust, name=network_id, limits=limits, issued=0).encode()
    there = await vault.obtain(f"{install}-nats-auth", "nats", lambda: {"auth.conf": conf})
    if there.get("auth.conf") != conf:
        await vault.write(f"{install}-nats-auth", {"auth.conf": conf})
    authority = await _certificates(vault, settings, now_ms=now_ms)
    return NatsAccount(public_key(trust.account, KeyOf.ACCOUNT), trust.signing, authority)


async def _given_account(vault: Vault, settings: OperatorSettings) -> NatsAccount:
    name = settings.nats.account_secret
    given = await vault.read(name)
    try:
        if given is None:
            raise KeyFileError(
                f"Secret {name} is missing; the log's administrator gives an account's signing key in it"
            )
        seed = read_seed(given["account.signing.seed"].decode(), KeyOf.ACCOUNT)
        return NatsAccount(given["account.public"].decode().strip(), seed, given["ca.crt"])
    except (KeyError, ValueError) as error:
        raise KeyFileError(f"Secret {name} needs account.signing.seed (SA…), account.public (A…) and ca.crt") from error


def _new_trust() -> Content:
    kinds = {
        "operator.seed": KeyOf.OPERATOR,
        "account.seed": KeyOf.ACCOUNT,
        "account.signing.seed": KeyOf.ACCOUNT,
        "system.seed": KeyOf.ACCOUNT,
    }
    return {name: seed_text(secrets.token_bytes(32), of).encode() for name, of in kinds.items()}


async def _certificates(vault: Vault, settings: OperatorSettings, *, now_ms: int) -> bytes:
    install, now = settings.install, datetime.fromtimestamp(now_ms / 1000, UTC)
    if not settings.certificates.self_made:
        issued = await vault.read(f"{install}-nats-tls")
        if issued is None or not issued.get("ca.crt"):
            raise KeyFileError(
                f"Secret {install}-nats-tls has no ca.crt yet; cert-manager fills it, look at its Certificate"
            )
        return issued["ca.crt"]

    def new_authority() -> Content:
        made = make_authority(f"{install} log", now=now)
        return {"ca.crt": made.certificate, "ca.key": made.key}

    issued = await vault.read(f"{install}-nats-tls")
    if issued is not None:
        return issued["ca.crt"]  # also if the authority's own key has been taken elsewhere
    held = await vault.obtain(f"{install}-ca", "operator", new_authority)

    def new_server() -> Content:
        made = make_server(Certified(held["ca.crt"], held["ca.key"]), f"{install}-nats", _hosts(settings), now=now)
        return {"ca.crt": held["ca.crt"], "tls.crt": made.certificate, "tls.key": made.key}

    await vault.obtain(f"{install}-nats-tls", "nats", new_server)
    return held["ca.crt"]


def _hosts(settings: OperatorSettings) -> tuple[str, ...]:
    """Return the names by which the log's servers are reached: each by its own, and all of them by their Service's."""
    service = f"{settings.install}-nats"
    names = (service, f"{service}.{settings.namespace}", f"{service}.{settings.namespace}.svc")
    full = (*names, f"{service}.{settings.namespace}.svc.{settings.cluster_domain}")
    return (*full, *(f"*.{name}" for name in full), "localhost")
