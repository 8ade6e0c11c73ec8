"""May this directory be believed? And the counterpart: making one that may."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from naisho.protocol.directory import codec
from naisho.protocol.directory import signatures as _signatures
from naisho.protocol.directory.errors import (
    BadDirectorySignature,
    DirectoryExpired,
    DirectoryFromFuture,
    DirectoryOutdated,
    GradeTooLow,
    MalformedDirectory,
    SigningKeysExpired,
    WrongNetwork,
)
from naisho.protocol.directory.model import HOUR_MS, Directory
from naisho.protocol.directory.signatures import Purpose, Signature, Signer, is_signed, sign, signers
from naisho.protocol.network_file import NetworkFile
from naisho.wire.directory.v1 import directory_pb2 as wire

#: A directory may be this much younger than now: clients' clocks are worse than nodes'.
FUTURE_TOLERANCE_MS: Final = 24 * HOUR_MS
MAX_SIGNING_KEYS: Final = 16


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The root keys' delegation to the keys that sign directories."""

    network_id: str
    #: 32 bytes each.
    keys: tuple[bytes, ...]
    #: How many of them must sign.
    threshold: int
    expires_ms: int
    #: First and last epoch that they may sign.
    first_epoch: int
    last_epoch: int


def verify(signed: bytes, *, network: NetworkFile, now_ms: int, newest_epoch_seen: int = 0) -> Directory:
    """Return the directory in a ``SignedDirectory`` message, if it may be believed.

    Args:
        signed: the serialised message, at most a million bytes.
        network: what is known of the network beforehand.
        now_ms: the present, milliseconds since 1970.
        newest_epoch_seen: the highest epoch believed before; that very one is accepted again.

    Raises:
        MalformedDirectory: the bytes break a rule of form or a bound.
        WrongNetwork: it names another network.
        BadDirectorySignature: too few valid signatures, or a certificate not signed by its node.
        SigningKeysExpired: the delegation is over, or covers other epochs.
        DirectoryExpired: its validity is over.
        DirectoryFromFuture: issued more than a day from now.
        GradeTooLow: lower than the network file accepts.
        DirectoryOutdated: an older epoch than one seen.
    """
    message = codec.parse(wire.SignedDirectory, signed, what="the signed directory")
    keys = verify_signing_keys(message.signing_keys, network=network, now_ms=now_ms)
    # Nothing inside the document is read before its signatures hold.
    found = codec.decode_signatures(message.signatures)
    good = signers(found, keys.keys, Purpose.DIRECTORY, network.network_id, message.document)
    if good < keys.threshold:
        raise BadDirectorySignature(f"the directory has {good} valid signatures of {keys.threshold} needed")
    directory = codec.decode(message.document, signed=signed)
    _check(directory, keys, network=network, now_ms=now_ms, newest_epoch_seen=newest_epoch_seen)
    for node in directory.nodes:
        body = _signatures.certificate_body(node.certificate)
        if not is_signed(node.key, node.certificate_signature, Purpose.CERTIFICATE, network.network_id, body):
            raise BadDirectorySignature("a node has not signed its certificate")
    return directory


def _check(
    directory: Directory, keys: SigningKeys, *, network: NetworkFile, now_ms: int, newest_epoch_seen: int
) -> None:
    if directory.network_id != network.network_id:
        raise WrongNetwork("the directory is another network's")
    if not keys.first_epoch <= directory.epoch <= keys.last_epoch:
        raise SigningKeysExpired(
            f"the signing keys may sign epochs {keys.first_epoch} to {keys.last_epoch}, not {directory.epoch}"
        )
    if now_ms >= directory.expires_ms:
        raise DirectoryExpired("the directory is older than its validity; fetch a newer one, or check the clock")
    if directory.issued_ms > now_ms + FUTURE_TOLERANCE_MS:
        raise DirectoryFromFuture("the directory was issued in the future; check the clock")
    if directory.grade < network.lowest_grade:
        raise GradeTooLow(
            f"the directory's grade is {directory.grade.label}; the network file asks for {network.lowest_grade.label}"
        )
    if directory.epoch < newest_epoch_seen:
        raise DirectoryOutdated(f"the directory is of epoch {directory.epoch}; epoch {newest_epoch_seen} was seen")


def verify_signing_keys(message: wire.SignedSigningKeys, *, network: NetworkFile, now_ms: int) -> SigningKeys:
    """Return the delegation in a message, if enough root keys signed it and it is not over.

    Raises:
        MalformedDirectory: it breaks a rule of form or a bound.
        WrongNetwork: it names another network.
        BadDirectorySignature: too few root keys signed.
        SigningKeysExpired: it is over.
    """
    found = codec.decode_signatures(message.signatures)
    good = signers(found, network.root_keys, Purpose.SIGNING_KEYS, network.network_id, message.document)
    if good < network.root_threshold:
        raise BadDirectorySignature(
            f"the signing keys have {good} valid signatures of root keys, of {network.root_threshold} needed"
        )
    body = codec.parse(wire.SigningKeys, message.document, what="the delegation to the signing keys")
    codec.require(0 < len(body.keys) <= MAX_SIGNING_KEYS, f"not 1 to {MAX_SIGNING_KEYS} signing keys")
    codec.require(all(len(key) == codec.KEY for key in body.keys), "a signing key is not 32 bytes")
    codec.require(len(set(body.keys)) == len(body.keys), "a signing key stands twice")
    codec.require(0 < body.threshold <= len(body.keys), "the signing keys' threshold is out of range")
    codec.require(0 < body.first_epoch <= body.last_epoch <= codec.MAX_INTEGER, "the range of epochs is empty")
    codec.require(0 < body.expires_ms <= codec.MAX_INTEGER, "the end of the delegation is out of range")
    if body.network_id != network.network_id:
        raise WrongNetwork("the signing keys are another network's")
    if now_ms >= body.expires_ms:
        raise SigningKeysExpired("the root keys' delegation to the signing keys is over")
    return SigningKeys(
        body.network_id, tuple(body.keys), body.threshold, body.expires_ms, body.first_epoch, body.last_epoch
    )


def delegate(keys: SigningKeys, roots: Sequence[Signer]) -> bytes:
    """Return a serialised ``SignedSigningKeys``: the root keys let some keys sign directories."""
    document = wire.SigningKeys(
        network_id=keys.network_id,
        keys=keys.keys,
        threshold=keys.threshold,
        expires_ms=keys.expires_ms,
        first_epoch=keys.first_epoch,
        last_epoch=keys.last_epoch,
    ).SerializeToString(deterministic=True)
    signed = _sign_all(roots, Purpose.SIGNING_KEYS, keys.network_id, document)
    return wire.SignedSigningKeys(document=document, signatures=signed).SerializeToString(deterministic=True)


def sign_directory(directory: Directory, signing_keys: bytes, signers_: Sequence[Signer]) -> Directory:
    """Sign a directory.

    Args:
        directory: what to say; its ``digest`` and ``signed`` do not enter.
        signing_keys: the serialised ``SignedSigningKeys`` that lets the signers sign.
        signers_: as many as the delegation's threshold asks for.

    Returns:
        The same directory with ``digest`` and ``signed`` filled in.

    Raises:
        MalformedDirectory: the directory breaks a rule of form, or is too long to be accepted by anybody.
    """
    document = codec.encode(directory)
    codec.decode(document)  # never sign what everybody would refuse
    signed = wire.SignedDirectory(
        document=document,
        signatures=_sign_all(signers_, Purpose.DIRECTORY, directory.network_id, document),
        signing_keys=codec.parse(wire.SignedSigningKeys, signing_keys, what="the delegation to the signing keys"),
    ).SerializeToString(deterministic=True)
    if len(signed) > codec.MAX_BYTES:
        raise MalformedDirectory(f"the directory has {len(signed)} bytes; nobody accepts more than {codec.MAX_BYTES}")
    return replace(directory, digest=hashlib.sha256(document).digest(), signed=signed)


def _sign_all(keys: Sequence[Signer], purpose: Purpose, network_id: str, document: bytes) -> list[wire.Signature]:
    made = (Signature(key.public, sign(key, purpose, network_id, document)) for key in keys)
    return [wire.Signature(key=each.key, signature=each.signature) for each in made]
