"""Run the authority as its own process: ``python -m operators.membership [settings.toml]``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from operators.membership.settings import MembershipServiceSettings
from operators.membership.standalone import bootstrap
from services.chassis import logs
from services.chassis.hosting import run
from services.chassis.settings import SettingsError, read_settings


def main(arguments: list[str]) -> int:
    """Read the settings and host the service; return the exit code."""
    logs.configure()
    file = Path(arguments[0]) if arguments else None
    try:
        settings = read_settings(MembershipServiceSettings, prefix="NAISHO_MEMBERSHIP", environ=os.environ, file=file)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return run(lambda: [bootstrap(settings)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
