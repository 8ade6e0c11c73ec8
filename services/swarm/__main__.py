"""Run this service as its own process: ``python -m services.swarm [settings.toml]``."""

from __future__ import annotations

import sys

from services.chassis.own_process import main
from services.swarm.bootstrap import bootstrap
from services.swarm.settings import SwarmSettings

if __name__ == "__main__":
    sys.exit(main(SwarmSettings, bootstrap, prefix="NAISHO_SWARM"))
