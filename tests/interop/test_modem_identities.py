"""gammu and ModemManager take the simulated modem for the maker it says it is: u-blox, SIMCom, Telit."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.sim.at_models import MODELS

from .foreign import BOOTSTRAP_IMSI, IMEI, Bench, run
from .test_modem import fields
from .test_modemmanager import NAMESPACE, SCRIPT, namespace  # noqa: F401

pytestmark = pytest.mark.timeout(120)
SECONDS = 40
MAKERS = {  # manufacturer, model, firmware, and ModemManager's plugin: that for SIMCom goes by USB vendor id alone
    "sara-r412": ("u-blox", "SARA-R412M-02B", "M0.10.00", "u-blox"),
    "sim7600": ("SIMCOM INCORPORATED", "SIMCOM_SIM7600E-H", "LE20B03SIM7600M22", "generic"),
    "le910": ("Telit", "LE910C1-EU", "25.21.668", "telit"),
}


@pytest.fixture(scope="module", params=MAKERS)
def maker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Bench]]:
    """A bench with a modem of this maker, registered."""
    model = str(request.param)
    rat = MODELS[model].rats[0].lower()
    flags = ("--clock", "scaled:20", "--world", f"modem={model}", "--world", f"rat={rat}", "--world", "profile=unit")
    running = Bench(tmp_path_factory.mktemp("bench"), *flags)
    try:
        running.switch_on()
        running.wait_registered()
        yield model, running
    finally:
        running.kill()


def test_gammu_identifies_it(maker: tuple[str, Bench], tmp_path: Path) -> None:
    model, bench = maker
    settings = tmp_path / "gammurc"
    settings.write_text(f"[gammu]\ndevice={bench.modem}\nconnection=at115200\n")
    found = fields(run("gammu", "-c", settings, "identify", deadline=30.0).stdout)
    manufacturer, product, revision, _ = MAKERS[model]
    assert found["Manufacturer"] == manufacturer
    assert product in found["Model"]
    assert found["Firmware"].startswith(revision)
    assert (found["IMEI"], found["SIM IMSI"]) == (IMEI, BOOTSTRAP_IMSI)


@pytest.mark.usefixtures("namespace")
def test_modem_manager_takes_its_plugin(maker: tuple[str, Bench], tmp_path: Path) -> None:
    model, bench = maker
    manufacturer, product, revision, plugin = MAKERS[model]
    port = os.path.realpath(bench.modem)
    output = run(*NAMESPACE, "sh", SCRIPT, tmp_path, port, str(SECONDS), deadline=SECONDS + 10.0).stdout
    told = [json.loads(line) for line in output.splitlines() if line.strip()]
    generic = told[0]["modem"]["generic"]
    assert (generic["manufacturer"], generic["model"]) == (manufacturer, product)
    assert generic["plugin"] == plugin
    assert generic["revision"] == revision
    assert generic["equipment-identifier"] == IMEI
    assert generic["state"] == "disabled"
    assert told[1]["sim"]["properties"]["imsi"] == BOOTSTRAP_IMSI
