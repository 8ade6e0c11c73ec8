"""Run a command on a cluster that has the image of this tree: ``python -m tests.cluster.with_lab COMMAND...``.

A cluster is found or started as tests.cluster.finding says; what was started is stopped at the end. The command runs
where the addresses of pods and Services work, with KUBECONFIG set and kubectl and helm on its path.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.cluster import image
from tests.cluster.finding import WANTED, NoCluster, choose
from tests.cluster.lab import Lab

#: The image of this tree, and the same with another version label, for an upgrade.
IMAGES: Final = {"naisho:under-test": {}, "naisho:upgraded": {"org.opencontainers.image.version": "upgraded"}}


def main() -> int:
    """Run it and return its exit code; 3 if there is no cluster."""
    if not sys.argv[1:]:
        sys.stderr.write("usage: python -m tests.cluster.with_lab COMMAND...\n")
        return 2
    try:
        lab = Lab(choose({**os.environ, WANTED: "1"}, root=os.geteuid() == 0))
    except NoCluster as reason:
        sys.stderr.write(f"{reason}\n")
        return 3
    with lab, tempfile.TemporaryDirectory() as folder:
        for reference, labels in IMAGES.items():
            archive = Path(folder) / "image.tar"
            built = image.build(archive, reference, labels=labels)
            lab.import_image(archive)
            sys.stderr.write(f"{built.reference} {built.digest}\n")
        # Its own time limits and its own end: whoever waits sees what it prints.
        return subprocess.run(lab.inside_command(*sys.argv[1:]), env=lab.environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
