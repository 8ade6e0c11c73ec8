"""The cluster test, ``python -m tests.cluster``: needs a Kubernetes whose Services can be reached from here."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from tests.cluster.cluster_dns import use_cluster_dns
from tests.cluster.kubectl import Installed
from tests.cluster.trial import Trial

_ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run it; return 0 if nothing was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--image", required=True, help="name and tag that the cluster has")
    parser.add_argument("--other-image", required=True, help="another tag, to upgrade to")
    parser.add_argument("--namespace", default="naisho")
    parser.add_argument("--out", type=Path, default=_ROOT / "docs" / "operating")
    parser.add_argument("--only", default="", help="only steps whose names contain this")
    arguments = parser.parse_args()
    use_cluster_dns()
    network = Installed(arguments.namespace, _ROOT / "charts" / "naisho")
    trial = Trial(network, arguments.image, arguments.other_image, arguments.out)
    return 0 if asyncio.run(trial.run(arguments.only)) else 1


if __name__ == "__main__":
    sys.exit(main())
