"""Certificates of nodes: self-signed, P-256, pinned byte for byte by the signed directory.

gRPC refuses Ed25519 certificates, so a node that is known by its Ed25519 key carries one of these beside it. Nobody
issues them and none of them issues others: trust comes from the directory alone, which lists their exact bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_VALID_FOR: Final = timedelta(days=20 * 365)
#: Clocks of two nodes differ; a certificate made a moment ago must hold at both.
_BACKDATED: Final = timedelta(days=1)
_CERTIFICATE_FILE: Final = "certificate.pem"
_KEY_FILE: Final = "key.pem"


class CertificateError(ValueError):
    """The bytes are not a certificate that may be pinned: self-signed, P-256, no authority, of the expected name."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its private key.

    Attributes:
        certificate: DER, as the directory carries it.
        key: PKCS 8, PEM, not encrypted; never printed.
    """

    certificate: bytes
    key: bytes = field(repr=False)

    @classmethod
    def make(cls, name: str, *, addresses: Sequence[str] = (), now: datetime | None = None) -> Self:
        """Make a key and its self-signed certificate, valid for 20 years from a day before `now`.

        Args:
            name: the common name, at most 64 characters: a node's public key in hex.
            addresses: IP addresses and DNS names for a public HTTPS server.
            now: the time to count from; the real time if None.
        """
        begin = (now or datetime.now(UTC)) - _BACKDATED
        private = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + _VALID_FOR)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        if addresses:
            names = x509.SubjectAlternativeName([_general_name(address) for address in addresses])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(private, hashes.SHA256())
        key = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(certificate.public_bytes(serialization.Encoding.DER), key)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            OSError: a file is missing or unreadable.
            CertificateError: it holds something else.
        """
        try:
            certificate = x509.load_pem_x509_certificate((folder / _CERTIFICATE_FILE).read_bytes())
        except ValueError as error:
            raise CertificateError(f"{folder / _CERTIFICATE_FILE} holds no PEM certificate") from error
        return cls(certificate.public_bytes(serialization.Encoding.DER), (folder / _KEY_FILE).read_bytes())

    def write(self, folder: Path) -> None:
        """Write both to `folder` (made if need be) as PEM; only the owner may read the key."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / _CERTIFICATE_FILE).write_bytes(to_pem(self.certificate))
        descriptor = os.open(folder / _KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # the file may have been there with other rights
            file.write(self.key)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return to_pem(self.certificate)


def to_pem(certificate: bytes) -> bytes:
    """Turn a DER certificate into PEM.

    Raises:
        CertificateError: these bytes are no certificate.
    """
    return _load(certificate).public_bytes(serialization.Encoding.PEM)


def common_name(certificate: bytes) -> str:
    """Return the common name of a DER certificate.

    Raises:
        CertificateError: these bytes are no certificate, or one without exactly one common name.
    """
    names = _load(certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1:
        raise CertificateError("the certificate must have exactly one common name")
    return str(names[0].value)


def check_pinnable(certificate: bytes, name: str) -> None:
    """Check that a DER certificate may stand in a directory as that of the node called `name`.

    One that could issue others is refused: whoever trusts it would trust those, too.

    Raises:
        CertificateError: saying what is wrong.
    """
    parsed = _load(certificate)
    public = parsed.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise CertificateError("the certificate's key is not on P-256")
    if common_name(certificate) != name:
        raise CertificateError("the certificate belongs to another node")
    try:
        parsed.verify_directly_issued_by(parsed)
        constraints = parsed.extensions.get_extension_for_class(x509.BasicConstraints).value
    except Exception as error:
        raise CertificateError("the certificate is not self-signed, or says not whether it is an authority") from error
    if constraints.ca:
        raise CertificateError("the certificate is one of an authority")


def _load(certificate: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(certificate)
    except ValueError as error:
        raise CertificateError("these bytes are no DER certificate") from error


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(address))
    except ValueError:
        return x509.DNSName(address)


class TrustedPeers:
    """The certificates that a server accepts from its clients, to be replaced while it runs.

    Args:
        certificates: DER, one per node of the directory.
    """

    def __init__(self, certificates: Iterable[bytes] = ()) -> None:
        self._certificates: frozenset[bytes] = frozenset()
        self._pem = b""
        self._version = 0
        self.replace(certificates)

    @property
    def version(self) -> int:
        """Grows with each change."""
        return self._version

    @property
    def pem(self) -> bytes:
        """All of them, one after the other."""
        return self._pem

    def replace(self, certificates: Iterable[bytes]) -> None:
        """Accept these and no others from the next handshake on; see `holds` for streams that are open already.

        Raises:
            CertificateError: one of them is no certificate; nothing has changed.
        """
        new = frozenset(certificates)
        if new != self._certificates or not self._version:
            self._pem = b"".join(map(to_pem, sorted(new)))
            self._certificates = new
            self._version += 1

    def holds(self, certificate: bytes) -> bool:
        """Tell whether exactly this certificate (DER) is accepted."""
        return certificate in self._certificates
