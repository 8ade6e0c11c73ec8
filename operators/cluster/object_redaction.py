"""Redacting objects: what each field may say. Pure but for the pseudonyms that the redactor gives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from operators.cluster.names import Object, annotations_of, labels_of, name_of, status_of
from operators.cluster.redaction import GONE, Redactor

#: Annotations of ours, of Helm and of the controllers; anybody may write anything into others.
_SHOWN_ANNOTATIONS: Final = re.compile(r"(naisho\.dev|meta\.helm\.sh|deployment\.kubernetes\.io|checksum)/.*")
_SECRET_FIELD: Final = re.compile(r"(?i).*(passw(or)?d|passphrase|token|secret|seed|private_?key|credentials?)")
#: Values of environment variables that cannot be secrets: numbers, durations, switches, our own paths.
_HARMLESS: Final = re.compile(
    r"-?\d{1,18}(\.\d{1,9})?[a-zA-Z]{0,2}|true|false|(/etc/naisho|/var/lib/naisho|/run/naisho|/tmp)(/[\w.-]{1,40}){0,5}"
)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}$")
_DROPPED: Final = ("managedFields", "selfLink")


def redact_object(redactor: Redactor, thing: Object) -> dict[str, Any]:
    """Return an object that may be given away. Not for Secrets: see `describe_secret`."""
    redacted: dict[str, Any] = _tree(redactor, thing)
    return redacted


def describe_secret(redactor: Redactor, secret: Object) -> dict[str, Any]:
    """Return what may be known of a Secret: that it is there."""
    return {
        "name": name_of(secret),
        "created": secret["metadata"].get("creationTimestamp"),
        "labels": _tree(redactor, labels_of(secret)),
        "annotations": sorted(redactor.text(key) for key in annotations_of(secret)),
    }


def names_in(thing: Object) -> Iterator[tuple[str, str]]:
    """Return what names machines and hosts in an object, as (kind, name)."""
    spec, status = thing.get("spec") or {}, status_of(thing)
    machines = (spec.get("nodeName"), status.get("machine"), (thing.get("source") or {}).get("host"))
    yield from (("machine", machine) for machine in machines if isinstance(machine, str))
    address = status.get("address")
    if isinstance(address, str) and (host := _host_of(address)):
        yield "host", host
    balancer = status.get("loadBalancer")
    for entry in (balancer.get("ingress") or ()) if isinstance(balancer, Mapping) else ():
        if isinstance(entry.get("hostname"), str):
            yield "host", entry["hostname"]


def _host_of(address: str) -> str | None:
    """Return the host of ``host:port`` if it is a name; patterns find numbers."""
    host = address.rpartition("/")[2].rpartition(":")[0].strip("[]")
    return host if re.search(r"[A-Za-z]", host) and ":" not in host else None


def _tree(redactor: Redactor, value: Any, field: str = "") -> Any:
    match value:
        case Mapping():
            return {redactor.text(str(k)): _field(redactor, str(k), v) for k, v in value.items() if k not in _DROPPED}
        case list() | tuple():
            return [_tree(redactor, item, field) for item in value]
        case str() if field in ("image", "imageID"):
            digest = _DIGEST.search(value)
            return redactor.text(_DIGEST.sub("", value)) + (digest[0] if digest else "")
        case str():
            return redactor.text(value)
        case _:
            return value


def _field(redactor: Redactor, name: str, value: Any) -> Any:
    if name == "annotations" and isinstance(value, Mapping):
        return {redactor.text(k): _annotation(redactor, str(k), v) for k, v in value.items()}
    if name == "binaryData" and isinstance(value, Mapping):
        return {redactor.text(k): GONE for k in value}
    if name == "env" and isinstance(value, list):
        return [_variable(redactor, item) for item in value]
    if isinstance(value, str) and _SECRET_FIELD.fullmatch(name):
        return GONE
    return _tree(redactor, value, name)


def _annotation(redactor: Redactor, name: str, value: Any) -> Any:
    return redactor.text(str(value)) if _SHOWN_ANNOTATIONS.fullmatch(name) else GONE


def _variable(redactor: Redactor, variable: Any) -> Any:
    redacted = _tree(redactor, variable)
    if isinstance(variable, Mapping) and isinstance(variable.get("value"), str):
        redacted["value"] = variable["value"] if _HARMLESS.fullmatch(variable["value"]) else GONE
    return redacted
