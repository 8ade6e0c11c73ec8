"""The network file: all that a client needs to join a network, as JSON that a person can read (docs/adr/0008).

{
  "naisho_network": 1,
  "network_id": "n-3f9c2a",
  "name": "Example",
  "simulated": false,
  "lowest_grade": "single-operator",
  "root_threshold": 1,
  "root_keys": ["<64 hex digits, Ed25519>"],
  "seeds": ["http://192.0.2.7:22080"]
}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from naisho.protocol.errors import ProtocolError
from naisho.protocol.grade import Grade

VERSION: Final = 1
MAX_BYTES: Final = 65_536
MAX_ROOT_KEYS: Final = 16
MAX_SEEDS: Final = 64
MAX_NAME: Final = 64
NETWORK_ID: Final = re.compile(r"[a-z][a-z0-9-]{0,30}[a-z0-9]", re.ASCII)
_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FIELDS: Final = frozenset(
    {"naisho_network", "network_id", "name", "simulated", "lowest_grade", "root_threshold", "root_keys", "seeds"}
)


class NetworkFileError(ProtocolError):
    """The network file cannot be used; the text says what is wrong and what would be right."""


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """What is known of a network beforehand."""

    #: 2 to 32 of a-z, 0-9 and inner hyphens, beginning with a letter; names the network in every signature.
    network_id: str
    #: 32 bytes each, Ed25519.
    root_keys: tuple[bytes, ...]
    #: How many root keys must agree.
    root_threshold: int = 1
    #: Base URLs ``http(s)://host:port`` of seeds.
    seeds: tuple[str, ...] = ()
    #: A directory of a lower grade is refused.
    lowest_grade: Grade = Grade.SINGLE_OPERATOR
    #: For people, up to 64 characters.
    name: str = ""
    #: Nodes and families of this network stand for others; no real party is behind them.
    simulated: bool = False


def parse(text: str | bytes) -> NetworkFile:
    """Read a network file.

    Raises:
        NetworkFileError: it is no JSON object, has unknown, missing or wrong fields, or is of a newer version.
    """
    if len(text) > MAX_BYTES:
        raise NetworkFileError(f"a network file has at most {MAX_BYTES} bytes, this has {len(text)}")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NetworkFileError("the network file is no JSON; copy it again, whole") from error
    if not isinstance(data, dict) or "naisho_network" not in data:
        raise NetworkFileError('this is no network file: a JSON object with "naisho_network": 1 is expected')
    if data["naisho_network"] != VERSION:
        raise NetworkFileError(f"the network file is not of version {VERSION}, the only one known here; update naisho")
    _complain_if(missing := _FIELDS - data.keys(), f"lacks {_listed(missing)}")
    _complain_if(extra := data.keys() - _FIELDS, f"has unknown fields: {_listed(extra)}")
    root_keys = _root_keys(data["root_keys"])
    threshold = data["root_threshold"]
    fits = isinstance(threshold, int) and not isinstance(threshold, bool) and 1 <= threshold <= len(root_keys)
    _complain_if(not fits, f'needs a "root_threshold" of 1 to {len(root_keys)}, the number of root keys')
    name = data["name"]
    plain = isinstance(name, str) and len(name) <= MAX_NAME and name.isprintable()
    _complain_if(not plain, f'needs a "name" of at most {MAX_NAME} printable characters')
    _complain_if(not isinstance(data["simulated"], bool), 'needs "simulated" to be true or false')
    return NetworkFile(
        network_id=_network_id(data["network_id"]),
        root_keys=root_keys,
        root_threshold=threshold,
        seeds=_seeds(data["seeds"]),
        lowest_grade=_grade(data["lowest_grade"]),
        name=name,
        simulated=data["simulated"],
    )


def render(network: NetworkFile) -> str:
    """Return the file's text; ``parse`` gives the same network back.

    Raises:
        NetworkFileError: a field is one that nobody would accept.
    """
    text = json.dumps(
        {
            "naisho_network": VERSION,
            "network_id": network.network_id,
            "name": network.name,
            "simulated": network.simulated,
            "lowest_grade": network.lowest_grade.label,
            "root_threshold": network.root_threshold,
            "root_keys": [key.hex() for key in network.root_keys],
            "seeds": list(network.seeds),
        },
        indent=2,
        ensure_ascii=False,
    )
    parse(text)
    return text + "\n"


def _network_id(value: Any) -> str:
    if not isinstance(value, str) or NETWORK_ID.fullmatch(value) is None:
        raise NetworkFileError(
            'the network file needs a "network_id" of 2 to 32 lower-case letters, digits and inner hyphens'
        )
    return value


def _root_keys(value: Any) -> tuple[bytes, ...]:
    if (
        not isinstance(value, list)
        or not 1 <= len(value) <= MAX_ROOT_KEYS
        or not all(isinstance(key, str) and _KEY.fullmatch(key) for key in value)
        or len(set(value)) != len(value)
    ):
        raise NetworkFileError(
            f'the network file needs "root_keys": 1 to {MAX_ROOT_KEYS} different keys of 64 lower-case hex digits'
        )
    return tuple(bytes.fromhex(key) for key in value)


def _seeds(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_SEEDS or not all(_is_seed(url) for url in value):
        raise NetworkFileError(
            f'the network file needs "seeds": at most {MAX_SEEDS} URLs such as http://192.0.2.7:22080, without a path'
        )
    return tuple(value)


def _is_seed(url: Any) -> bool:
    if not isinstance(url, str) or not url.isascii() or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        return url == f"{parts.scheme}://{parts.netloc}" and _is_place(parts.scheme, parts.hostname, parts.port, url)
    except ValueError:
        return False


def _is_place(scheme: str, host: str | None, port: int | None, url: str) -> bool:
    return scheme in {"http", "https"} and bool(host) and port is not None and port > 0 and "@" not in url


def _grade(value: Any) -> Grade:
    try:
        return Grade.parse(value)
    except ValueError as error:
        raise NetworkFileError(f'the network file\'s "lowest_grade" is unknown: {error}') from None


def _complain_if(wrong: object, what: str) -> None:
    if wrong:
        raise NetworkFileError(f"the network file {what}")


def _listed(names: Iterable[str]) -> str:
    # Names may come from the file: few, short and printable, since they end in a terminal.
    return ", ".join(repr(name[:32]) for name in sorted(names)[:5])
