"""What every driver of this distribution keeps, and where a port is in the USB tree."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys

import pytest

from bench.errors import BenchError, ConfigurationError
from bench.station.drivers import DriverOptions, PowerLimits, known_drivers, load_driver, warm_driver
from instruments.modem import usb
from instruments.modem.vendors import VENDORS, by_name, vendor_of

OURS = {
    *(target for target in known_drivers().values() if target.startswith("instruments.")),
    "instruments.power.keysight:KeysightE36300",
    "instruments.power.generic:GenericScpiSupply",
    "instruments.network.cmw500:RsCmw500",
    "instruments.modem.modem:AtModem",
    "instruments.modem.modem:QuectelModem",
}


@pytest.mark.parametrize("target", sorted(OURS))
def test_a_driver_opens_by_a_coroutine_says_what_it_is_and_refuses_unknown_options(target):
    driver = load_driver(target)
    assert inspect.iscoroutinefunction(driver.open)
    assert inspect.getdoc(driver) and inspect.getdoc(driver.open)
    options = DriverOptions(
        name="x",
        driver="y",
        resource="TCPIP::127.0.0.1::1::SOCKET",
        port="/dev/null",
        limits=PowerLimits(3.8, 1.0, 4.3, 0.3),
        extra={"no-such-option": 1},
        origin="bench.toml:7",
    )
    with pytest.raises(ConfigurationError, match=r"bench\.toml:7: driver y has no option 'no-such-option'"):
        asyncio.run(driver.open(options))


@pytest.mark.parametrize("target", sorted(target for target in OURS if ".power." in target or ".network." in target))
def test_what_switches_can_make_safe_without_heavy_imports(target):
    code = (
        "import sys\n"
        "from bench.station.drivers import SafeDriver, load_driver\n"
        f"assert isinstance(load_driver({target!r}), SafeDriver)\n"
        "print(*{'pyvisa', 'serial', 'aiohttp', 'cryptography', 'asn1tools'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("target", [*sorted(OURS), "no.such:Driver", "no-such-driver"])
def test_warming_never_raises(target):
    warm_driver(target)


# --- the USB tree -----------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    """A sysfs of one modem with two serial interfaces and an adapter, as Linux lays it out."""
    classes = tmp_path / "class"
    classes.mkdir()

    def add(name: str, place: str, interface: int, *, driver_node: bool = True) -> None:
        node = tmp_path / "devices" / "usb1" / place / f"{place}:1.{interface}"
        node = node / name if driver_node else node
        node.mkdir(parents=True, exist_ok=True)
        (classes / name).mkdir()
        (classes / name / "device").symlink_to(node)

    add("ttyUSB7", "1-1.4", 2)
    add("ttyUSB3", "1-1.4", 3)
    add("ttyUSB0", "1-1.40", 2)
    add("ttyACM0", "1-1.2", 0, driver_node=False)
    (classes / "tty1").mkdir()
    return classes


@pytest.mark.parametrize(
    ("port", "device"),
    [
        ("usb:1-1.4:if02", "/dev/ttyUSB7"),
        ("usb:1-1.4:if3", "/dev/ttyUSB3"),
        ("usb:1-1.4", "/dev/ttyUSB7"),
        ("usb:1-1.40:if02", "/dev/ttyUSB0"),
        ("usb:1-1.2", "/dev/ttyACM0"),
        ("usb:1-1.4:if05", None),
        ("usb:9-9", None),
        ("usb:1-1.4:ifx", None),
        ("ttyUSB7", None),
        ("/dev/null", "/dev/null"),
        ("/dev/no-such-device", None),
    ],
)
def test_a_place_in_the_usb_tree_is_found_whatever_its_number_is_today(tree, port, device):
    assert usb.device_file(port, classes=tree) == device


def test_what_is_a_port():
    assert usb.valid("/dev/serial/by-id/x") and usb.valid("usb:1-1.4:if02")
    assert not usb.valid("usb:1-1.4:ifxx") and not usb.valid("COM3") and not usb.valid("")


# --- vendors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manufacturer", "model", "name"),
    [
        ("Quectel", "EG25", "quectel-eg"),
        ("Quectel", "BG95-M3", "quectel-bg9x"),
        ("u-blox", "SARA-R510S", "u-blox-sara-r5"),
        ("Telit", "ME910C1", "telit-me910"),
        ("", "", "generic"),
    ],
)
def test_vendors_by_what_they_say(manufacturer, model, name):
    assert vendor_of(manufacturer, model).name == name
    assert by_name(name) == (vendor_of(manufacturer, model),)


def test_vendor_names_are_unique():
    names = [vendor.name for vendor in VENDORS]
    assert len(set(names)) == len(names)


def test_errors_tell_where_in_the_file():
    from instruments.modem.modem import AtModem

    with pytest.raises(BenchError, match=r"bench\.toml:9"):
        asyncio.run(AtModem.open(DriverOptions(name="m", port="COM3", origin="bench.toml:9")))
