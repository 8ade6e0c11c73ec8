"""Settings of nodes that are the operator's to set: addresses, keys, folders, and what is the whole network's."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: By role, as the environment names them. Whatever begins with one of them and an underscore is reserved, too.
RESERVED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "onion": ("NETWORK_FILE", "NODE_KEY", "CERTIFICATE", "HTTPS", "HOP", "SEED", "MAILBOX", "TELEMETRY"),
        "swarm": (
            "NETWORK_FILE",
            "NODE_KEY",
            "MAILBOX_KEY",
            "CERTIFICATE",
            "DATA",
            "MAILBOX",
            "TELEMETRY",
            "ABOUT",
            "NATS",
            "KEY_PERIOD",
        ),
    }
)


def variable_of(setting: str) -> str:
    """Return the part of a setting's environment variable that names it: ``RATE_BURST`` for ``rate.burst``."""
    return setting.upper().replace(".", "_")


def is_reserved(role: str, setting: str) -> bool:
    """Tell whether a pool may not set this of a role's containers."""
    return any(f"{variable_of(setting)}_".startswith(f"{name}_") for name in RESERVED.get(role, ()))
