"""The command ``naisho``, but for ``network up``, whose nodes are hosted by ``tapped_host``."""

from __future__ import annotations

from dataclasses import replace

from naisho.cli.main import main
from operators.local import roles, supervisor
from operators.local.home import NetworkHome
from operators.local.plan import NetworkPlan
from operators.local.roles import ProcessRole
from tests.integration.claims.taps import put

HOST = "operators.local.host"
TAPPED_HOST = "tests.integration.claims.tapped_host"


def tapped_roles(home: NetworkHome, plan: NetworkPlan) -> list[ProcessRole]:
    """Return the same processes, each with the tapped host in the place of the host."""
    planned = roles.process_roles(home, plan)
    assert all(HOST in role.arguments for role in planned), "one process for each node, its two roles together"
    return [
        replace(role, arguments=tuple(TAPPED_HOST if part == HOST else part for part in role.arguments))
        for role in planned
    ]


if __name__ == "__main__":
    put(supervisor, "process_roles", tapped_roles)
    main()
