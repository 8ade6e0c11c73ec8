"""What values cannot mean together is refused before anything is rendered, everything at once and in plain words."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.charts.rendering import RELEASE, RenderFailed, render
from tests.crds.contract import stated

#: One mistake each, and what is said of it.
_MISTAKES: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "few nodes": (("pool.replicas=2",), "pool.replicas is 2: fewer than 3 nodes keep no mail"),
    "annotations of no balancer": (
        ("pool.exposure.annotations.a=b",),
        "pool.exposure.annotations mean nothing with pool.exposure.type ClusterIP",
    ),
    "no target": (("pool.autoscaling.enabled=true",), "pool.autoscaling is enabled without a target"),
    "most below least": (
        ("pool.autoscaling.enabled=true", "pool.autoscaling.maxReplicas=9", "pool.autoscaling.targets.cpuPercent=50"),
        "pool.autoscaling.maxReplicas (9) is below pool.autoscaling.minReplicas (15)",
    ),
    "the operator's own setting of a node": (
        (r"pool.settings.swarm.about\.https=example.org:443",),
        "pool.settings.swarm.about.https is the operator's own",
    ),
    "the chart's own setting": (
        (r"custodian.settings.nats\.servers=nats://x",),
        "custodian.settings.nats.servers is the chart's own",
    ),
    "sizes of swarms": (
        ("membership.swarmMinimum=6",),
        "membership.swarmIdeal (6) must be above membership.swarmMinimum (6)",
    ),
    "sources of no balancer": (
        ("seed.service.sourceRanges={10.0.0.0/8}",),
        "seed.service.sourceRanges mean nothing with seed.service.type ClusterIP",
    ),
    "bundled and external": (
        ("nats.external.accountSecret=held",),
        "nats.external is given, but nats.enabled is true",
    ),
    "streams larger than the volume": (
        ("streams.mail=10Gi",),
        "the streams reserve 10821304320 bytes, but nine tenths of nats.storage.size (10Gi) are 9663676416",
    ),
    "no issuer": (("certificates.certManager.enabled=true",), "set certificates.certManager.issuerRef.name"),
    "no account to name": (
        ("operator.serviceAccount.create=false",),
        "operator.serviceAccount.name must say which one to use",
    ),
}
_OF_EXTERNAL: Final = ("nats.enabled=false", "certificates.certManager.enabled=true")


@pytest.mark.parametrize("mistake", _MISTAKES)
def test_each_mistake_is_told(helm: Path, mistake: str) -> None:
    given, said = _MISTAKES[mistake]
    assert _refusal(helm, *given).count("\n  - ") == 1, "one mistake, one message"
    assert said in _refusal(helm, *given)


def test_all_mistakes_are_told_at_once(helm: Path) -> None:
    excluded = {"few nodes", "most below least"}  # by autoscaling, and by autoscaling without a target
    given = [value for name, (values, _) in _MISTAKES.items() if name not in excluded for value in values]
    refusal = _refusal(helm, *given)
    assert [name for name, (_, said) in _MISTAKES.items() if said not in refusal and name not in excluded] == []
    assert refusal.count("\n  - ") == len(_MISTAKES) - len(excluded)


def test_what_the_operator_gives_the_nodes_is_refused(helm: Path) -> None:
    """The same names as those that the operator itself refuses in a NodePool."""
    reserved = stated()["settings-leave-what-is-the-operators"].reserved
    given, said = [], []
    for container, variables in reserved.items():
        for variable in variables:
            setting = variable.lower() + {"ABOUT": ".family", "NATS": ".request_timeout"}.get(variable, "")
            given.append(f"pool.settings.{container}.{setting.replace('.', chr(92) + '.')}=x")
            said.append(f"pool.settings.{container}.{setting} is the operator's own")
    refusal = _refusal(helm, *given)
    assert [sentence for sentence in said if sentence not in refusal] == []
    assert len(said) > 10


def test_mistakes_about_external_servers_are_told_at_once(helm: Path) -> None:
    refusal = _refusal(helm, *_OF_EXTERNAL)
    assert "nats.external.servers must say where NATS is" in refusal
    assert "nats.external.accountSecret must name the Secret" in refusal
    assert "there are no NATS servers of this release to certify" in refusal


def test_a_release_name_that_cannot_be_a_full_name_is_told(helm: Path) -> None:
    long = "a-release-with-a-name-of-thirty-six-l"
    assert "has 44 characters and may have 40" in _refusal(helm, release=long)
    assert "must begin with a letter" in _refusal(helm, release="9-lives")
    assert "must begin with a letter" in _refusal(helm, release="with.a.dot")


def _refusal(helm: Path, *given: str, release: str = RELEASE) -> str:
    arguments = [word for value in given for word in ("--set", value)]
    with pytest.raises(RenderFailed) as refused:
        render(helm, *arguments, release=release)
    return str(refused.value)
