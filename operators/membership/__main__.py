"""Run the authority as its own process: ``python -m operators.membership [settings.toml]``."""

from __future__ import annotations

import sys

from operators.membership.settings import MembershipServiceSettings
from operators.membership.standalone import bootstrap
from services.chassis.own_process import main

if __name__ == "__main__":
    sys.exit(main(MembershipServiceSettings, bootstrap, prefix="NAISHO_MEMBERSHIP"))
