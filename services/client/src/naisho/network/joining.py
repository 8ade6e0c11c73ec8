"""Finding and reading the network file: all that one needs to join."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from naisho.errors import BadNetworkFile, NoNetwork
from naisho.protocol import network_file
from naisho.protocol.network_file import NetworkFile, NetworkFileError

NETWORK_FILE = "network.json"
LOCAL = "local"


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """Return the user's data directory: ``NAISHO_DATA_DIR``, or ``naisho`` where this system keeps such things.

    >>> default_data_dir({"XDG_DATA_HOME": "/tmp/data"}).as_posix()
    '/tmp/data/naisho'
    """
    if chosen := environment.get("NAISHO_DATA_DIR"):
        return Path(chosen)
    if os.name == "nt" and (local := environment.get("LOCALAPPDATA")):
        return Path(local) / "naisho"
    home = environment.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "naisho"


def find_network_file(data_dir: Path, environment: Mapping[str, str], given: Path | None = None) -> Path:
    """Return the network file to use.

    The first of: the one given; ``NAISHO_NETWORK``; that of the local network below the data directory (or
    ``NAISHO_NETWORK_HOME``), which ``naisho network up`` writes; the only one in ``<data directory>/networks/``.

    Raises:
        NoNetwork: none of these is there.
    """
    if given is not None:
        return given
    if chosen := environment.get("NAISHO_NETWORK"):
        return Path(chosen)
    home = environment.get("NAISHO_NETWORK_HOME")
    local = (Path(home) if home else data_dir / "networks" / LOCAL) / NETWORK_FILE
    if local.is_file():
        return local
    joined = sorted((data_dir / "networks").glob(f"*/{NETWORK_FILE}"))
    if len(joined) != 1:
        raise NoNetwork
    return joined[0]


def read_network_file(path: Path) -> NetworkFile:
    """Return what a network file says.

    Raises:
        BadNetworkFile: it cannot be read, or says nothing usable.
    """
    try:
        with path.open("rb") as file:
            return network_file.parse(file.read(network_file.MAX_BYTES + 1))
    except OSError as error:
        raise BadNetworkFile(file=path.name, reason=error.strerror or "unreadable") from error
    except NetworkFileError as error:
        raise BadNetworkFile(file=path.name, reason=str(error)) from error
