"""A hundred processes killed at random under plans of every kind: none lost, none doubled, none stuck."""

import random

import databases
import pytest

from chaos.campaign import Campaign, Goals

KILLS = Goals(workers=86, supervisors=8, clients=6, stops=8, drains=2, minutes=8)


def campaign(kind, directory, goals):
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}; files in {directory}")
    with databases.fresh_database(kind, directory) as url:
        report = Campaign(url, directory, seed, goals, say=print).run()
    print(report)
    return report


@pytest.mark.timeout(800)  # a minute, where nobody else needs the machine
def test_g2_g3_g10_a_hundred_kills_lose_double_and_strand_nothing(tmp_path):
    report = campaign(databases.SQLITE, tmp_path, KILLS)

    assert report.well, report
    kills = sum(number for what, number in report.done.items() if what.endswith("kills"))
    assert kills == 100


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", databases.KINDS)
def test_g2_g3_g10_five_hundred_kills_lose_double_and_strand_nothing(kind, tmp_path):
    databases.require(kind)
    goals = Goals(workers=450, supervisors=40, clients=10, stops=40, drains=5, minutes=20)

    report = campaign(kind, tmp_path, goals)

    assert report.well, report
    assert report.done["worker kills"] == 450
    assert report.done["supervisor kills"] == 40
