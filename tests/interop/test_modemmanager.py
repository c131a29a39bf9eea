"""ModemManager (Debian's 1.20.4) takes the simulated modem for a Quectel: it probes, identifies and reads the card."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from .foreign import BOOTSTRAP_ICCID, BOOTSTRAP_IMSI, IMEI, Bench, need, run

NAMESPACE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
SCRIPT = Path(__file__).with_name("modemmanager.sh")
SECONDS = 25


@pytest.fixture
def namespace() -> None:
    need("unshare", "ModemManager", "mmcli", "dbus-daemon")
    if os.geteuid() != 0:
        pytest.skip("ModemManager needs a sysfs of its own, which root alone can mount")
    if subprocess.run([*NAMESPACE, "true"], capture_output=True, timeout=10, check=False).returncode != 0:
        pytest.skip("no mount namespaces here: ModemManager cannot be shown the simulated port")


@pytest.mark.usefixtures("namespace")
def test_modem_manager_takes_the_modem(registered: Bench, tmp_path: Path) -> None:
    registered.send_message("meter 7: 12.5 kWh")
    port = os.path.realpath(registered.modem)
    output = run(*NAMESPACE, "sh", SCRIPT, tmp_path, port, str(SECONDS), deadline=SECONDS + 30.0).stdout
    told = [json.loads(line) for line in output.splitlines() if line.strip()]
    modem, card = told[0]["modem"], told[1]["sim"]
    generic = modem["generic"]
    assert (generic["manufacturer"], generic["model"]) == ("Quectel", "EG25")
    assert generic["plugin"] == "quectel"
    assert generic["revision"] == "EG25GGBR07A08M2G"
    assert generic["equipment-identifier"] == modem["3gpp"]["imei"] == IMEI
    assert generic["state"] == "disabled"
    assert generic["power-state"] == "on"
    assert generic["current-capabilities"] == ["lte"]
    assert sorted(generic["supported-ip-families"]) == ["ipv4", "ipv4v6", "ipv6"]
    properties = card["properties"]
    assert properties["imsi"] == BOOTSTRAP_IMSI
    assert properties["iccid"] == BOOTSTRAP_ICCID
    assert (properties["operator-code"], properties["operator-name"]) == ("00101", "BOOT")
    network = told[2]["modem"]["3gpp"]
    assert told[2]["modem"]["generic"]["state"] == "registered"
    assert (network["registration-state"], network["operator-code"]) == ("home", "00101")
    assert network["operator-name"] == "Test PLMN 1-1"
    assert network["packet-service-state"] == "attached"
    assert network["imei"] == IMEI
    assert network["eps"]["ue-mode-operation"] == "ps-2"
    enabled = told[2]["modem"]["generic"]
    assert enabled["access-technologies"] == ["lte"]
    assert 0 < int(enabled["signal-quality"]["value"]) <= 100
    assert told[3]["command"].split() == ["response:", "EG25GGBR07A08M2G", BOOTSTRAP_IMSI]
    (path,) = told[4]["modem.messaging.sms"]
    message = told[5]["sms"]
    assert message["dbus-path"] == path
    assert message["content"]["text"] == "meter 7: 12.5 kWh"
    assert message["content"]["number"] == "+10000"
    assert (message["properties"]["smsc"], message["properties"]["state"]) == ("+10001", "received")
    sent = re.findall(r"--> '(AT[^']*)<CR>'", (tmp_path / "modemmanager.log").read_text(errors="replace"))
    assert len(sent) > 30
    assert registered.state()["registered"] is True
    assert not Path("/dev/ttySIM0").exists()
