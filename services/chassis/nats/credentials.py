"""Who a NATS user is: its key, and the JWT that a server wants beside it in decentralised mode."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from services.chassis.nats import nkey
from services.chassis.nats.errors import UnusableCredentials
from services.chassis.settings import BadValue, Secret

#: Longest JWT that is read; a server takes 4,096 bytes of CONNECT as a rule.
_LONGEST_JWT: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a user shows a server.

    Attributes:
        seed: 32 bytes of the user's Ed25519 key.
        jwt: what the user's account has signed; ``None`` for a server that knows the user's public key itself.
    """

    seed: bytes = field(repr=False)
    jwt: str | None = field(default=None, repr=False)

    def answer(self, nonce: str) -> dict[str, str]:
        """Return the fields of CONNECT that answer a server's nonce."""
        shown = {"nkey": nkey.public_key(self.seed)} if self.jwt is None else {"jwt": self.jwt}
        return {**shown, "sig": nkey.sign(self.seed, nonce.encode("ascii"))}


#: Returns the credentials as they are now; may raise ``UnusableCredentials``.
CredentialSource = Callable[[], Credentials]


def known_key(seed: bytes) -> CredentialSource:
    """Return the credentials of a user whose public key the server knows."""
    return partial(Credentials, seed)


def from_files(key: Path, jwt: Path | None) -> CredentialSource:
    """Return the credentials that files hold at the time of each connect.

    Args:
        key: the user's seed, 64 hexadecimal digits, not for everybody to read.
        jwt: its JWT; ``None`` for a server that knows the user's public key itself.
    """

    def read() -> Credentials:
        try:
            seed = bytes.fromhex(Secret.read(key).text)
        except (BadValue, ValueError) as error:
            raise UnusableCredentials(str(error) if isinstance(error, BadValue) else f"{key} holds no key") from error
        if len(seed) != nkey.SEED_BYTES:
            raise UnusableCredentials(f"{key} should hold {2 * nkey.SEED_BYTES} hexadecimal digits")
        return Credentials(seed, None if jwt is None else _read_jwt(jwt))

    return read


def trust_in(authority: Path) -> Callable[[], ssl.SSLContext]:
    """Return what makes TLS contexts that trust the authority in a PEM file, as it is at the time of each connect."""

    def make() -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=str(authority))
        except OSError as error:  # of which ssl.SSLError is one
            raise UnusableCredentials(f"{authority} holds no certificate that can be used") from error

    return make


def _read_jwt(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as file:
            text = file.read(_LONGEST_JWT + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableCredentials(f"{path} cannot be read as a JWT") from error
    if not text or len(text) > _LONGEST_JWT or len(text.split(".")) != len(("header", "claims", "signature")):
        raise UnusableCredentials(f"{path} holds no JWT")
    return text
