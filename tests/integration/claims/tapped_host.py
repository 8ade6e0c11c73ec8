"""The host of a share of a local network's nodes, with taps: ``python tapped_host.py HOME SHARE``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from operators.local import host
from services.onion.bootstrap import OnionService
from services.onion.bootstrap import bootstrap as bootstrap_onion
from tests.integration.claims import taps
from tests.integration.claims.tape import Tape

TAPES = "CLAIMS_TAPES"
BROKEN_FOR = "CLAIMS_BROKEN_FOR"


def main(arguments: list[str]) -> int:
    """Tap this process, then host as usual; return the exit code."""
    tape = Tape(Path(os.environ[TAPES]) / f"{arguments[1]}.tape")
    for tap in (taps.tap_https, taps.tap_nats, taps.tap_hops, taps.tap_grpc, taps.tap_requests, taps.tap_layers):
        tap(tape)
    if address := os.environ.get(BROKEN_FOR):
        taps.break_for(address)

    def bootstrap(settings: Any, *, mailbox: Any) -> OnionService:
        return bootstrap_onion(settings, mailbox=taps.TappedMailbox(mailbox, tape))

    taps.put(host, "bootstrap_onion", bootstrap)
    return host.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
