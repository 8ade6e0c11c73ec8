"""Run this service as its own process: ``python -m services.swarm [settings.toml]``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from services.chassis import logs
from services.chassis.hosting import run
from services.chassis.settings import SettingsError, read_settings
from services.swarm.bootstrap import bootstrap
from services.swarm.settings import SwarmSettings


def main(arguments: list[str]) -> int:
    """Read the settings and host the service; return the exit code."""
    logs.configure()
    file = Path(arguments[0]) if arguments else None
    try:
        settings = read_settings(SwarmSettings, prefix="NAISHO_SWARM", environ=os.environ, file=file)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return run(lambda: [bootstrap(settings)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
