"""A sample of the fault campaign of tests/campaigns/scpi_faults.py: every fault, and no wrong value."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "campaigns"))

import scpi_faults

pytestmark = pytest.mark.timeout(60)


def test_randomised_exchanges_with_faults_give_no_wrong_value():
    outcome = asyncio.run(scpi_faults.campaign(200, 0.5, seed=1))
    found = scpi_faults.report(outcome)
    assert (found["wrong_values"], found["unexpected"]) == (0, 0), found["told"]
    assert set(outcome.faults) >= {"closed", "closed-mid-answer", "late", "garbage-before-answer"}, found
    assert outcome.recovered["closed-mid-answer"] and outcome.returned > 100, found


def test_a_driver_that_mixes_answers_up_is_found_out():
    """The campaign itself: an answer to another question is a wrong value."""

    async def run():
        chance = scpi_faults.random.Random(1)
        with scpi_faults.FaultySupply(chance) as supply:
            said = supply.supply("MEAS:VOLT? (@1)")

            class Mixed:
                async def measure(self):
                    supply.supply("MEAS:VOLT? (@1)")
                    return scpi_faults.Reading(float(said), float(supply.supply("MEAS:CURR? (@1)")))

            campaign = scpi_faults.Campaign(supply, Mixed(), chance)
            await campaign._one("mixed", "", campaign._measure)
            return campaign.outcome

    assert "is no answer to MEAS:VOLT?" in asyncio.run(run()).wrong[0]
