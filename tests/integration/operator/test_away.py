"""An API server that refuses, is overrun, or is away: the operator goes on where it was."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from operators.membership.kube import service
from operators.membership.kube.service import OperatorService
from operators.membership.kube.settings import LeaseSettings
from services.chassis.settings import Duration
from tests.integration.operator.emulated_api import WRITES
from tests.integration.operator.install import FEW_NODES, INSTALL, Install

#: Outages here are shorter than this.
LONG = LeaseSettings(Duration(60), Duration(2))


@pytest.mark.parametrize("status", [409, 429, 500])
async def test_an_install_becomes_whole_though_every_call_fails_the_first_time(
    install: Install, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each verb on each kind, that is; 409 is no answer to a question."""
    monkeypatch.setattr(service, "_RETRY_S", 0.05)
    refused: set[tuple[str, str]] = set()

    def refuse(verb: str, resource: str) -> int:
        if (verb, resource) in refused or (status == 409 and verb not in WRITES) or resource == "leases":
            return 0
        refused.add((verb, resource))
        return status

    install.api.refuse = refuse
    install.bring(replicas=4)
    operator = install.start_operator(look=Duration(0.5))
    await install.until(lambda: install.whole(4))
    assert {("create", "secrets"), ("create", "servicenodes"), ("patch", "servicenodes/status")} <= refused
    assert operator.service.lifecycle.failure is None
    assert len(install.register()) == 4, "no ordinal was lost on the way"
    assert install.store.names("secrets") >= {f"talk-{n}-keys" for n in range(4)}


async def test_an_api_server_that_is_away_for_a_while_is_survived(install: Install) -> None:
    install.bring()
    operator = install.start_operator(lease=LONG)
    await install.until(lambda: install.whole(FEW_NODES))
    before = install.register()
    await install.server.close()
    install.store.delete("pods", "talk-1-0")
    await until_failed_turns(operator.service, 2)
    await install.server.open()
    await install.until(lambda: install.store.find("pods", "talk-1-0") is not None and install.whole(FEW_NODES))
    assert install.register() == before
    assert operator.service.lifecycle.failure is None


async def until_failed_turns(service: OperatorService, count: int) -> None:
    async with asyncio.timeout(30):
        while service._pulse.outcomes["failed"] < count:  # noqa: ASYNC110 - nothing tells of a look that failed
            await asyncio.sleep(0.05)


async def test_an_operator_that_comes_before_the_api_server_waits_for_it(install: Install) -> None:
    await install.server.close()
    install.bring(replicas=3)
    operator = install.start_operator()
    async with asyncio.timeout(30):
        await operator.service.lifecycle.wait_until(lambda lifecycle: lifecycle.state.name == "READY")
    await install.server.open()
    await install.until(lambda: install.whole(3))


async def test_a_node_that_is_refused_does_not_hold_up_the_others_and_is_told_of(install: Install) -> None:
    """A quota, or an admission webhook that takes no StatefulSet any more."""
    install.bring(replicas=4)
    made = itertools.count(1)
    install.api.refuse = lambda verb, what: 422 if (verb, what) == ("create", "statefulsets") and next(made) > 3 else 0
    install.start_operator()
    await install.until(lambda: install.condition("Degraded") == "NodeFailed")
    assert len(install.store.names("statefulsets")) == 3
    assert install.store.names("servicenodes") == {f"{INSTALL}-{n}" for n in range(4)}
    install.api.refuse = lambda _verb, _what: 0
    await install.until(lambda: install.whole(4))
