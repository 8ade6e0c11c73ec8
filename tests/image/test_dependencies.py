"""What the lock names, as the image holds it; first of the slow ones, so that none but this waits for the install."""

from __future__ import annotations

import tarfile

import pytest

from tests.cluster import environment, recipe
from tests.cluster.oci import Layer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]  # the first fills the cache, maybe on a busy machine


def test_it_holds_an_environment_and_nothing_else(dependencies: Layer) -> None:
    with tarfile.open(dependencies.blob) as tar:
        members = {f"/{member.name}": member for member in tar.getmembers() if not member.isdir()}
    prefix = f"{recipe.PREFIX}/"
    assert members[f"{prefix}bin/python"].linkname == recipe.PYTHON
    assert members[f"{prefix}bin/nats-server"].mode == 0o755
    outside = [name for name in members if not name.startswith((f"{environment.SITE_PACKAGES}/", f"{prefix}bin/"))]
    assert outside == [f"{prefix}pyvenv.cfg"]
    assert sum(name.endswith("/nats-server") for name in members) == 1
