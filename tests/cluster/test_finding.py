"""Which cluster is taken, and what a machine without one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.finding import Choice, NoCluster, choose

WANTED = {"NAISHO_CLUSTER_TEST": "1"}


def _scripts(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("up.sh", "down.sh", "import.sh", "exec.sh"):
        (folder / name).touch()
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "checkout").mkdir()
    return tmp_path / "checkout"


def _kubeconfig(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kubeconfig").touch()
    return folder / "kubeconfig"


def test_nothing_is_looked_for_if_nobody_wants_it(checkout: Path) -> None:
    _scripts(checkout.parent / "shared" / "kube")
    with pytest.raises(NoCluster, match="make cluster-test"):
        choose({"KUBECONFIG": str(_kubeconfig(checkout))}, root=True, checkout=checkout)


def test_a_given_kubeconfig_comes_first(checkout: Path) -> None:
    _scripts(checkout.parent / "shared" / "kube")
    kubeconfig = _kubeconfig(checkout.parent / "cloud")
    found = choose({**WANTED, "KUBECONFIG": str(kubeconfig)}, root=False, checkout=checkout)
    assert found == Choice(kubeconfig, None, None)
    assert not found.to_be_started


def test_a_running_lab_can_do_what_a_lab_can(checkout: Path) -> None:
    scripts = _scripts(checkout.parent / "shared" / "kube")
    folder = checkout.parent / "running"
    variables = {**WANTED, "KUBECONFIG": str(_kubeconfig(folder)), "KUBE_LAB": str(folder)}
    found = choose(variables, root=True, checkout=checkout)
    assert found == Choice(folder / "kubeconfig", scripts, folder)
    assert not found.to_be_started


def test_a_labs_variable_beside_another_clusters_kubeconfig_is_not_believed(checkout: Path) -> None:
    _scripts(checkout.parent / "shared" / "kube")
    kubeconfig = _kubeconfig(checkout.parent / "cloud")
    _kubeconfig(checkout.parent / "running")
    variables = {**WANTED, "KUBECONFIG": str(kubeconfig), "KUBE_LAB": str(checkout.parent / "running")}
    assert choose(variables, root=True, checkout=checkout) == Choice(kubeconfig, None, None)


def test_a_folder_beside_the_checkout_is_started(checkout: Path) -> None:
    scripts = _scripts(checkout.parent / "shared" / "kube")
    found = choose(WANTED, root=True, checkout=checkout)
    assert found == Choice(None, scripts, None)
    assert found.to_be_started


def test_a_named_folder_is_started(checkout: Path) -> None:
    scripts = _scripts(checkout.parent / "elsewhere")
    assert choose({**WANTED, "NAISHO_KUBE_LAB_DIR": str(scripts)}, root=True, checkout=checkout).scripts == scripts


def test_only_root_starts_one(checkout: Path) -> None:
    _scripts(checkout.parent / "shared" / "kube")
    with pytest.raises(NoCluster, match="needs root"):
        choose(WANTED, root=False, checkout=checkout)


def test_without_any_the_message_says_what_would_give_one(checkout: Path) -> None:
    with pytest.raises(NoCluster, match=r"set KUBECONFIG, or NAISHO_KUBE_LAB_DIR .*up\.sh.*shared/kube"):
        choose(WANTED, root=True, checkout=checkout)


def test_names_that_lead_nowhere_are_told_of(checkout: Path) -> None:
    with pytest.raises(NoCluster, match="KUBECONFIG names no file: /nowhere"):
        choose({**WANTED, "KUBECONFIG": "/nowhere"}, root=True, checkout=checkout)
    with pytest.raises(NoCluster, match="NAISHO_KUBE_LAB_DIR names a folder without"):
        choose({**WANTED, "NAISHO_KUBE_LAB_DIR": str(checkout)}, root=True, checkout=checkout)
