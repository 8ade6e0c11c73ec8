"""The cluster that tests run on, if one is wanted and to be had."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import image
from tests.cluster.finding import NoCluster
from tests.cluster.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Return the session's cluster; make namespaces of your own on it."""
    try:
        found = Lab.find()
    except NoCluster as reason:
        pytest.skip(str(reason))
    with found:
        yield found


@pytest.fixture(scope="session")
def naisho_image(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the name of the image of this tree, on the cluster's node."""
    archive: Path = tmp_path_factory.mktemp("image") / "naisho.tar"
    built = image.build(archive, "naisho:under-test")
    lab.import_image(archive)
    return built.reference
