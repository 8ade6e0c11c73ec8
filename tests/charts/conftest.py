"""Every situation is rendered once, however many tests look at it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.charts.helm_binary import NoHelm, find_helm
from tests.charts.rendering import Rendering, parse, render, situations, values_file, values_of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for a situation, or for what is rendered of it, once for each."""
    if "situation" in metafunc.fixturenames:
        metafunc.parametrize("situation", situations(), scope="session")


@pytest.fixture(scope="session")
def helm() -> Path:
    """Return the helm binary."""
    try:
        return find_helm()
    except NoHelm as none:
        pytest.skip(str(none))


@pytest.fixture(scope="session")
def rendered_of(helm: Path) -> Callable[[str], Rendering]:
    """Return a function that renders a situation the first time it is asked for it."""
    known: dict[str, Rendering] = {}

    def rendered(situation: str) -> Rendering:
        if situation not in known:
            text = render(helm, "--values", values_file(situation))
            known[situation] = Rendering(situation, values_of(situation), parse(text), text)
        return known[situation]

    return rendered


@pytest.fixture
def rendering(situation: str, rendered_of: Callable[[str], Rendering]) -> Rendering:
    """Return what is rendered of the situation at hand."""
    return rendered_of(situation)
