"""What is handed to generating processes is what they get, and their parts are the whole."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from operators.load.arrivals import Share, Spacing
from operators.load.jobs import Job, divide
from operators.load.mix import Mix
from operators.load.plan import Phase, Plan
from operators.load.running import Load
from operators.load.sizes import Sizes

LOAD = Load(
    Plan.of([Phase(1, 9, 5), Phase(9, 9, 3)]),
    spacing=Spacing.CONSTANT,
    mix=Mix.parse("store=1,extend=2"),
    sizes=Sizes.parse("200-300"),
    accounts=10,
    onion=False,
    paths=7,
    under_way=20,
    seed=4,
    share=Share(1, 3),
)


@pytest.mark.parametrize("plan", [LOAD.plan, Plan.steady(5)])
def test_a_job_arrives_as_it_was_sent(plan: Plan) -> None:
    job = Job("/some/network.json", replace(LOAD, plan=plan), check=False, patience_s=4.0)
    got = Job.decode(json.loads(json.dumps(job.encode())))
    assert got.load.sizes.text == job.load.sizes.text
    assert replace(got, load=replace(got.load, sizes=job.load.sizes)) == job


def test_parts_are_the_whole() -> None:
    parts = divide(LOAD, 3)
    assert [part.share for part in parts] == [Share(0, 3), Share(1, 3), Share(2, 3)]
    assert [part.accounts for part in parts] == [4, 3, 3]
    assert sum(part.under_way for part in parts) == 20
    assert sum(part.paths for part in parts) == 7
    assert divide(LOAD, 9)[-1].paths == 1


def test_long_runs_are_kept_in_wider_stretches_of_time() -> None:
    assert replace(LOAD, plan=Plan.steady(5, 60)).width == 1
    assert replace(LOAD, plan=Plan.steady(5, 3600)).width == 12
    assert replace(LOAD, plan=Plan.steady(5)).width == 5
