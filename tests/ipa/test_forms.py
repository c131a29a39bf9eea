"""All of provisioning where card or eIM write other wire forms (bench.rsp.forms), and in SGP.32 v1.0 on ESipa."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.rsp import forms
from bench.rsp.forms import Form
from bench.rsp.interpretation import DEFAULT

from .fakes import EID
from .test_bundled import BOOTSTRAP, OPERATIONAL, Lab, lab

ANSWERS = sorted(forms.ALL - forms.COMMANDS, key=lambda form: form.name)
EXCLUSIVE = {Form.NESTED_PUBLIC_KEY, Form.PROFILE_LIST_ERROR_INTEGER}
"""Of two forms of the same thing one at a time."""


async def provision(bench: Lab) -> None:
    """Download, list, switch, deliver every notification, switch back with a rollback, delete, be refused."""
    download, _ = await bench.order_download()
    listing = await bench.eim.order_list(EID)
    enable = await bench.eim.order_enable(EID, OPERATIONAL, rollback=True)
    first = await bench.ipa.poll()
    assert first.downloads[0]["installed"], first.downloads
    assert first.profile_changed
    await bench.card.reset()
    await bench.ipa.poll()
    await bench.done(download)
    listed: Any = (await bench.done(listing)).result
    assert {profile["iccid"] for profile in listed["profiles"]} == {BOOTSTRAP, OPERATIONAL}
    await bench.done(enable)
    assert bench.enabled == OPERATIONAL
    assert bench.card.euicc.state().notifications == ()
    assert await bench.ipa.eims() == [bench.eim.eim_id]
    refused = await bench.eim.order_delete(EID, OPERATIONAL)
    await bench.finish()
    error: Any = (await bench.eim.show(refused.order_id)).error
    assert error["name"] == "profileNotInDisabledState"
    await bench.back_to_bootstrap()


@pytest.mark.parametrize(
    "emit",
    [frozenset(ANSWERS) - EXCLUSIVE, EXCLUSIVE],
    ids=["one of each", "the others"],
)
def test_a_card_that_writes_other_forms(emit: frozenset[Form], home: Path) -> None:
    async def run() -> None:
        async with lab(home, interpretation=replace(DEFAULT, emit=frozenset(emit))) as bench:
            await provision(bench)

    asyncio.run(run())


def test_an_eim_that_writes_other_forms(home: Path) -> None:
    reading = {"emit": [form.name for form in Form], "activation_code_prefix": True, "notification_answer": 200}

    async def run() -> None:
        async with lab(home, "--interpretation", json.dumps(reading)) as bench:
            await provision(bench)

    asyncio.run(run())


@pytest.mark.parametrize("told", ["1.0", "auto"])
def test_esipa_of_v1_0(told: str, home: Path) -> None:
    """``auto``: the eIM learns it from the first message that gives it away; until then both must do."""

    async def run() -> None:
        async with lab(home, "--dialect", told, ipa_options={"dialect": "1.0", "rplmn": "26201"}) as bench:
            await provision(bench)

    asyncio.run(run())
