"""Run the operator: ``python -m operators.membership.kube [settings.toml]``."""

from __future__ import annotations

import sys

from operators.membership.kube.service import bootstrap
from operators.membership.kube.settings import OperatorSettings
from services.chassis.own_process import main

if __name__ == "__main__":
    sys.exit(main(OperatorSettings, bootstrap, prefix="NAISHO_OPERATOR"))
