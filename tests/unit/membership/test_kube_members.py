from __future__ import annotations

from unittest.mock import MagicMock

import pytest

from naisho.protocol.ring import INVALID_SWARM, swarm_id
from operators.membership.domain.life import Life, Member
from operators.membership.kube.members import members

KEY = bytes(range(32))


def seen_life(life: Life, *, listed: bool, swarm: int) -> Life:
    """Return what is seen of one member, recorded in a life, while the newest directory has it in a swarm."""
    node = MagicMock(key=KEY, swarm_id=swarm, planned_swarm_id=swarm)
    authority = MagicMock()
    authority.roster = {KEY: Member(node, life, 0)}
    authority.directory.by_key = {KEY: node} if listed else {}
    authority.holders.return_value = frozenset()
    authority.signs = {}
    return members(authority)[KEY.hex()].life


@pytest.mark.parametrize(
    ("listed", "swarm", "expected"),
    [(True, swarm_id(0), Life.ACTIVE), (True, INVALID_SWARM, Life.JOINING), (False, swarm_id(0), Life.JOINING)],
)
def test_a_node_is_active_once_the_directory_says_whom_it_serves(*, listed: bool, swarm: int, expected: Life) -> None:
    assert seen_life(Life.ACTIVE, listed=listed, swarm=swarm) is expected


@pytest.mark.parametrize("life", [life for life in Life if life is not Life.ACTIVE])
def test_every_other_life_is_seen_as_it_is_recorded(life: Life) -> None:
    assert seen_life(life, listed=False, swarm=INVALID_SWARM) is life
