from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from services.chassis.certificates import CertificateError, Identity, check_pinnable, common_name, to_pem

NODE = "5e" * 32


def certificate(
    *,
    name: str = NODE,
    issuer: str = NODE,
    curve: ec.EllipticCurve | None = None,
    ca: bool | None = False,
    signed_by_other: bool = False,
) -> bytes:
    key = ec.generate_private_key(curve or ec.SECP256R1())
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    signer = ec.generate_private_key(ec.SECP256R1()) if signed_by_other else key
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_a_made_identity_is_pinnable_under_its_name_and_lasts() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    identity = Identity.make(NODE, now=now)
    check_pinnable(identity.certificate, NODE)
    assert common_name(identity.certificate) == NODE
    parsed = x509.load_der_x509_certificate(identity.certificate)
    assert parsed.not_valid_before_utc == now - timedelta(days=1)
    assert parsed.not_valid_after_utc > now + timedelta(days=19 * 365)
    key = serialization.load_pem_private_key(identity.key, None)
    assert key.public_key() == parsed.public_key()


def test_addresses_for_https_are_in_the_certificate() -> None:
    identity = Identity.make(NODE, addresses=["203.0.113.7", "2001:db8::7", "node.example"])
    names = x509.load_der_x509_certificate(identity.certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.IPAddress) == [ip_address("203.0.113.7"), ip_address("2001:db8::7")]
    assert names.value.get_values_for_type(x509.DNSName) == ["node.example"]


def test_it_is_written_so_that_only_the_owner_can_read_the_key(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    identity = Identity.make(NODE)
    identity.write(folder)
    assert Identity.read(folder) == identity
    key = folder / "key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o644)
    Identity.make(NODE).write(folder)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert Identity.read(folder) != identity


def test_the_key_is_never_printed() -> None:
    identity = Identity.make(NODE)
    assert "PRIVATE" not in repr(identity)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (certificate(name="a1" * 32), "another node"),
        (certificate(ca=True), "authority"),
        (certificate(ca=None), "authority"),
        (certificate(curve=ec.SECP384R1()), "P-256"),
        (certificate(issuer="somebody"), "self-signed"),
        (certificate(signed_by_other=True), "self-signed"),
        (b"nonsense", "no DER"),
        (b"", "no DER"),
        (to_pem(certificate()), "no DER"),
        (certificate()[:-1], "no DER"),
    ],
)
def test_what_must_not_be_pinned_is_refused(made: bytes, says: str) -> None:
    with pytest.raises(CertificateError, match=says):
        check_pinnable(made, NODE)


def test_ed25519_is_refused() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NODE)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, None)
    )
    with pytest.raises(CertificateError, match="P-256"):
        check_pinnable(made.public_bytes(serialization.Encoding.DER), NODE)


def test_a_certificate_without_one_name_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    nobody = x509.Name([])
    made = x509.CertificateBuilder(nobody, nobody, key.public_key(), 1, now, now + timedelta(days=1)).sign(
        key, hashes.SHA256()
    )
    with pytest.raises(CertificateError, match="common name"):
        common_name(made.public_bytes(serialization.Encoding.DER))


def test_a_file_that_holds_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "certificate.pem").write_text("nonsense")
    with pytest.raises(CertificateError, match=r"certificate\.pem"):
        Identity.read(tmp_path)
    with pytest.raises(OSError, match="No such file"):
        Identity.read(tmp_path / "none")
