"""Run this service as its own process: ``python -m services.onion [settings.toml]``."""

from __future__ import annotations

import sys

from services.chassis.own_process import main
from services.onion.bootstrap import bootstrap
from services.onion.settings import OnionSettings

if __name__ == "__main__":
    sys.exit(main(OnionSettings, bootstrap, prefix="NAISHO_ONION"))
