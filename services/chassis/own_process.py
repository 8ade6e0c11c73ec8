"""A service as a process of its own: the whole of its ``__main__``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from services.chassis import logs
from services.chassis.hosting import run
from services.chassis.lifecycle import Service
from services.chassis.settings import SettingsError, read_settings

S = TypeVar("S")


def main(kind: type[S], bootstrap: Callable[[S], Service], *, prefix: str) -> int:
    """Read the settings and host the service.

    Args:
        kind: of settings. They come from the environment and from the TOML file that is the only argument, if any.
        bootstrap: builds the service.
        prefix: of its environment variables: ``NAISHO_SWARM``.

    Returns:
        The exit code: 0 if a signal ended it, 1 if something failed, 2 if the settings cannot be used.
    """
    logs.configure()
    file = Path(sys.argv[1]) if sys.argv[1:] else None
    try:
        settings = read_settings(kind, prefix=prefix, environ=os.environ, file=file)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return run(lambda: [bootstrap(settings)])
