"""Payloads to and from servers outside the network, version 4 (wire 5.6): a bencoded list of JSON and raw body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from naisho.protocol import bencode
from naisho.protocol.errors import BadBencode, BadServerPayload
from naisho.protocol.limits import MAX_HEADER_BYTES, MAX_ONION_BYTES

_DEFAULT_TYPE: Final = "application/octet-stream"
_LOWEST_STATUS: Final = 100
_HIGHEST_STATUS: Final = 599


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """A request to a server."""

    method: str
    #: Path with query; starts with ``/``.
    endpoint: str
    headers: dict[str, str] = field(default_factory=dict)
    #: None if there is none.
    body: bytes | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Response:
    """A server's response."""

    code: int
    #: Names in lower case.
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def encode_request(request: Request) -> bytes:
    """Write a request; a body without a Content-Type header is sent as ``application/octet-stream``."""
    headers = request.headers
    if request.body is not None and "content-type" not in map(str.lower, headers):
        headers = headers | {"Content-Type": _DEFAULT_TYPE}
    metadata = orjson.dumps({"method": request.method, "endpoint": request.endpoint, "headers": headers})
    return bencode.encode([metadata] if request.body is None else [metadata, request.body])


def decode_request(data: bytes) -> Request:
    """Read a request.

    Raises:
        BadServerPayload: not one.
    """
    parts = _parts(data)
    metadata = _metadata(parts[0])
    method, endpoint = metadata.get("method"), metadata.get("endpoint")
    if not isinstance(method, str) or not isinstance(endpoint, str) or not endpoint.startswith("/"):
        raise BadServerPayload("a request has a method and an endpoint that starts with a slash")
    headers = _headers(metadata.get("headers", {}))
    return Request(method, endpoint, headers, parts[1] if len(parts) > 1 else None)


def encode_response(response: Response) -> bytes:
    """Write a response; body and headers are there even when empty, as clients demand."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return bencode.encode([orjson.dumps({"code": response.code, "headers": headers}), response.body])


def decode_response(data: bytes) -> Response:
    """Read a response; an absent body is read as empty.

    Raises:
        BadServerPayload: not one.
    """
    parts = _parts(data)
    metadata = _metadata(parts[0])
    code = metadata.get("code")
    if not isinstance(code, int) or isinstance(code, bool) or not _LOWEST_STATUS <= code <= _HIGHEST_STATUS:
        raise BadServerPayload("a response has a status code")
    headers = {name.lower(): value for name, value in _headers(metadata.get("headers", {})).items()}
    return Response(code, headers, parts[1] if len(parts) > 1 else b"")


def _parts(data: bytes) -> list[bytes]:
    if len(data) > MAX_ONION_BYTES:
        raise BadServerPayload("longer than 10 MiB")
    if data[:1] != b"l":
        raise BadServerPayload("not a list of one or two strings")
    try:
        whole = bencode.decode(data)
    except BadBencode:
        raise BadServerPayload("not bencode") from None
    if not isinstance(whole, list) or not 1 <= len(whole) <= 2:  # noqa: PLR2004 - metadata, and a body perhaps
        raise BadServerPayload("not a list of one or two strings")
    parts = [part for part in whole if isinstance(part, bytes)]
    if len(parts) != len(whole):
        raise BadServerPayload("not a list of one or two strings")
    return parts


def _metadata(text: bytes) -> dict[str, Any]:
    if len(text) > MAX_HEADER_BYTES:
        raise BadServerPayload("metadata is too long")
    try:
        metadata = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadServerPayload("metadata is no JSON") from None
    if not isinstance(metadata, dict):
        raise BadServerPayload("metadata is no object")
    return metadata


def _headers(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(item, str) for item in value.values()):
        raise BadServerPayload("headers are an object of strings")
    return dict(value)
