"""``kubectl naisho …``: the same commands for people who live in kubectl."""

from __future__ import annotations

import os
import sys

from naisho.cli.main import run


def main() -> None:
    """Run ``naisho cluster`` with kubectl's arguments, and exit as it does."""
    sys.exit(run(["cluster", *sys.argv[1:]], os.environ))
