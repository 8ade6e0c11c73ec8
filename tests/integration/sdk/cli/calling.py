"""How these tests call the command line, and read its answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

#: Runs a command and returns its exit code, standard output and standard error.
Naisho = Callable[..., tuple[int, str, str]]


def document(result: tuple[int, str, str]) -> dict[str, Any]:
    """Return the one JSON document that a command printed, and nothing else."""
    _, out, err = result
    assert err == ""
    (line,) = out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found
