"""Which Kubernetes to test on: decided from the environment and what lies beside the checkout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from tests.cluster.lock import ROOT

#: Set by ``make cluster-test``: without it nothing looks for a cluster, and no test starts one.
WANTED: Final = "NAISHO_CLUSTER_TEST"
#: A kubeconfig to use, of a cluster that somebody else keeps.
KUBECONFIG: Final = "KUBECONFIG"
#: The data folder of a lab that already runs; its ``env`` file sets both this and KUBECONFIG.
RUNNING_LAB: Final = "KUBE_LAB"
#: Where the lab's scripts lie, if not in ``../shared/kube`` beside the checkout.
SCRIPTS: Final = "NAISHO_KUBE_LAB_DIR"
#: Leave a lab that a test started running, to look into it.
KEEP: Final = "NAISHO_KUBE_LAB_KEEP"

_NEEDED: Final = ("up.sh", "down.sh", "import.sh", "exec.sh")


class NoCluster(Exception):
    """There is no Kubernetes to test on; the text says what would give one. A reason to skip, not to fail."""


class Choice(NamedTuple):
    """What to test on. A running cluster has a kubeconfig; a lab has scripts; a lab that runs has both and a folder."""

    kubeconfig: Path | None
    scripts: Path | None
    folder: Path | None

    @property
    def to_be_started(self) -> bool:
        """Tell whether a lab has to be started, and stopped afterwards."""
        return self.kubeconfig is None


def choose(environment: Mapping[str, str], *, root: bool, checkout: Path = ROOT) -> Choice:
    """Choose a cluster.

    Args:
        environment: the variables that this module names.
        root: whether a lab could be started: it makes network namespaces and control groups.
        checkout: the folder of this project.

    Raises:
        NoCluster: there is none to be had.
    """
    if not environment.get(WANTED):
        raise NoCluster("cluster tests run by `make cluster-test`, or with NAISHO_CLUSTER_TEST=1")
    scripts = _scripts(environment, checkout)
    folder = Path(environment[RUNNING_LAB]) if environment.get(RUNNING_LAB) else None
    if environment.get(KUBECONFIG):
        kubeconfig = Path(environment[KUBECONFIG])
        if not kubeconfig.is_file():
            raise NoCluster(f"{KUBECONFIG} names no file: {kubeconfig}")
        # Another cluster's kubeconfig beside a lab's leftover variable: the lab's scripts would act on the wrong one.
        if folder is None or scripts is None or kubeconfig.resolve() != (folder / "kubeconfig").resolve():
            return Choice(kubeconfig, None, None)
        return Choice(kubeconfig, scripts, folder)
    if scripts is None:
        raise NoCluster(
            f"no Kubernetes: set {KUBECONFIG}, or {SCRIPTS} to a folder with {', '.join(_NEEDED)}"
            f" (looked in {checkout.parent / 'shared' / 'kube'})"
        )
    if not root:
        raise NoCluster(f"the lab in {scripts} runs pods, for which it needs root; or set {KUBECONFIG}")
    return Choice(None, scripts, None)


def _scripts(environment: Mapping[str, str], checkout: Path) -> Path | None:
    given = environment.get(SCRIPTS)
    place = Path(given) if given else checkout.parent / "shared" / "kube"
    if all((place / name).is_file() for name in _NEEDED):
        return place.resolve()
    if given:
        raise NoCluster(f"{SCRIPTS} names a folder without {', '.join(_NEEDED)}: {place}")
    return None
