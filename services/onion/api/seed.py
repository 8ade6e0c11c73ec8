"""The seed: the node list as JSON-RPC, over HTTPS and over plain HTTP (wire 2.1)."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from random import SystemRandom
from typing import Any, Final

import orjson

from naisho.protocol.directory import Directory
from naisho.protocol.directory.model import DIRECTORY_PATH
from naisho.protocol.service_nodes import BadListRequest, ServiceNode, listed, service_nodes_result
from services.chassis.limits import TokenBuckets
from services.onion.api.http1 import Head, Request, Response
from services.onion.api.http1.messages import BINARY, JSON
from services.onion.domain import answers
from services.onion.domain.network import Network

SEED: Final = ("POST", "/json_rpc")
DIRECTORY: Final = ("GET", DIRECTORY_PATH)

TOO_MANY: Final = Response(429, answers.TOO_MANY_REQUESTS)

_METHODS: Final = frozenset(("get_n_service_nodes", "get_service_nodes", "get_all_service_nodes"))
#: A list's request names a few fields and keys; a megabyte is many thousands of keys.
_LONGEST_BODY: Final = 2**20

# Codes of JSON-RPC 2.0.
_PARSE_ERROR: Final = -32700
_INVALID_REQUEST: Final = -32600
_NO_METHOD: Final = -32601
_INVALID_PARAMS: Final = -32602
_NOT_READY: Final = -32000


class Seed:
    """Tells the node list of the newest directory."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._random = SystemRandom()
        self._listed: tuple[Directory, list[ServiceNode]] | None = None

    def answer(self, request: Request) -> Response:
        """Answer a JSON-RPC request; ``jsonrpc``, ``id`` and ``params`` may be missing. HTTP status 200 always."""
        if len(request.body) > _LONGEST_BODY:
            return Response(413, b"Request body too large")
        try:
            call = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            return _error(None, _PARSE_ERROR, "Parse error")
        if not isinstance(call, dict):
            return _error(None, _INVALID_REQUEST, "Invalid Request: an object with a method is expected")
        number, method = call.get("id"), call.get("method")
        params = call.get("params") or {}
        if not isinstance(method, str) or method not in _METHODS:
            return _error(number, _NO_METHOD, "Method not found; a seed knows " + ", ".join(sorted(_METHODS)))
        if not isinstance(params, dict):
            return _error(number, _INVALID_PARAMS, "Invalid params: an object is expected")
        directory = self._network.directory
        if directory is None:
            return _error(number, _NOT_READY, "This node has no directory of the network yet; ask again in a moment")
        try:
            result = service_nodes_result(self._nodes(directory), params, height=directory.epoch, rng=self._random)
        except BadListRequest as error:
            return _error(number, _INVALID_PARAMS, str(error))
        return Response(200, orjson.dumps({"jsonrpc": "2.0", "id": number, "result": result}), JSON)

    def directory(self) -> Response:
        """Hand out the signed directory as it came; whoever gets it verifies it."""
        directory = self._network.directory
        if directory is None:
            return Response(503, answers.node_not_ready("no directory of the network yet"))
        return Response(200, directory.signed, BINARY)

    def _nodes(self, directory: Directory) -> list[ServiceNode]:
        if self._listed is None or self._listed[0] is not directory:
            self._listed = (directory, listed(directory))
        return self._listed[1]


class SeedSite:
    """The seed's plain-HTTP address: the node list, the directory, and nothing else."""

    def __init__(self, seed: Seed, buckets: TokenBuckets[str]) -> None:
        self._seed = seed
        self._buckets = buckets

    def admit(self, head: Head, peer: str) -> Response | None:
        """Refuse everything but the two routes, and too many requests of one address."""
        if (head.method, head.target.partition("?")[0]) not in {SEED, DIRECTORY}:
            return Response(404, answers.path_not_found(head.method, head.target))
        return None if self._buckets.take(bucket_of(peer)) else TOO_MANY

    def answer(self, request: Request) -> Response:
        """Answer with the node list, or with the directory."""
        return self._seed.directory() if request.head.method == "GET" else self._seed.answer(request)


def bucket_of(peer: str) -> str:
    """Return what an address is counted as: itself, or an IPv6 address's /64."""
    if ":" not in peer:
        return peer
    address = ip_address(peer.partition("%")[0])
    assert isinstance(address, IPv6Address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{int(address) >> 64:x}/64"


def _error(number: Any, code: int, message: str) -> Response:
    error = {"code": code, "message": message}
    return Response(200, orjson.dumps({"jsonrpc": "2.0", "id": number, "error": error}), JSON)
