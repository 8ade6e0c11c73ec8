"""Every node that a pool ever had: ordinals are given once, and a drained node's key never comes back (ADR 14).

The register outlives the objects that it speaks of: after an uninstall and a new install it says which nodes there
were, whose volumes and keys are still there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

SCHEMA: Final = 1


class DamagedRegister(ValueError):
    """The register's text is not what this version writes; nothing may be decided without it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One node: its public key (hex; empty before it is made), and whether it has left for good."""

    ordinal: int
    key: str = ""
    drained: bool = False


@dataclass(frozen=True, slots=True)
class Register:
    """The nodes of one pool by name; ordinals of a pool only grow."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    next_ordinal: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``render`` wrote.

        Raises:
            DamagedRegister: it is something else.
        """
        try:
            data = json.loads(text)
            if data["schema"] != SCHEMA:
                raise DamagedRegister(f"the register has schema {data['schema']!r}; this version knows {SCHEMA}")
            entries = {
                name: Entry(int(e["ordinal"]), str(e["key"]), e["drained"] is True) for name, e in data["nodes"].items()
            }
            next_ordinal = int(data["next_ordinal"])
            if any(entry.ordinal >= next_ordinal for entry in entries.values()):
                raise DamagedRegister("the register would give an ordinal twice; restore its ConfigMap from a backup")
            return cls(entries, next_ordinal)
        except DamagedRegister:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedRegister("the register cannot be read; restore its ConfigMap from a backup") from error

    def render(self) -> str:
        """Return the register as text; the same for the same content."""
        data: dict[str, Any] = {
            "schema": SCHEMA,
            "next_ordinal": self.next_ordinal,
            "nodes": {
                name: {"ordinal": entry.ordinal, "key": entry.key, "drained": entry.drained}
                for name, entry in sorted(self.entries.items(), key=lambda item: item[1].ordinal)
            },
        }
        return json.dumps(data, indent=1) + "\n"

    @property
    def staying(self) -> dict[str, Entry]:
        """The nodes that have not left."""
        return {name: entry for name, entry in self.entries.items() if not entry.drained}

    def reserved(self, pool: str) -> Self:
        """Return the register with one more node, of the next ordinal."""
        name = f"{pool}-{self.next_ordinal}"
        return replace(
            self, entries={**self.entries, name: Entry(self.next_ordinal)}, next_ordinal=self.next_ordinal + 1
        )

    def keyed(self, name: str, key: str) -> Self:
        """Return the register with a node's key.

        Raises:
            ValueError: the node has another key already.
        """
        known = self.entries[name]
        if known.key not in {"", key}:
            raise ValueError(f"{name} has another key already; a node's key never changes")
        return replace(self, entries={**self.entries, name: replace(known, key=key)})

    def left(self, name: str) -> Self:
        """Return the register with a node gone for good."""
        return replace(self, entries={**self.entries, name: replace(self.entries[name], drained=True)})
