"""Putting another firmware into the device, and proof that it runs it."""

from __future__ import annotations

from pathlib import Path

from bench.engine.recipe import Station, recipe
from bench.errors import DeviceFailure
from recipes.parameters import Boot


@recipe(title="Flash the device", needs=("power", "console", "flash"), effects=("flashes",))
async def device_flash(station: Station, image: str, version: str = "", boot_within: Boot = 120.0) -> None:
    """Flash an image by the program of bench.toml (``dut.flash``) and read the firmware's version back.

    The device is powered, its version asked, the program run with its deadline, the boot waited for on the console and
    the version asked again. SHA-256 of the image and both versions are the run's result. ``version``: what the device
    must tell afterwards; without it and with a device that tells none, the run is inconclusive.
    """
    async with station.step("power-on"):
        if not await station.power.output():
            began = station.clock.now()
            await station.power.set_output(True)
            if any(console.knows("booted") for console in station.consoles.values()):
                await station.observe("booted", timeout=boot_within, since=began)
    async with station.step("flash") as step:
        flashed = await station.dut.flash(Path(image), boot_within=boot_within)
        step.measure("duration", flashed.elapsed, unit="s")
        step.note(f"version before {flashed.before or 'not told'}, after {flashed.after or 'not told'}")
        station.identify("firmware", flashed.after, source="console")
        if not flashed.after:
            step.inconclusive("the device does not tell which firmware it runs now")
        elif version and flashed.after != version:
            raise DeviceFailure(
                f"the device runs firmware {flashed.after} after the flash, not {version}",
                where=f"image {Path(image).name}, SHA-256 {flashed.sha256}",
                hint="is it the right image, and did the boot loader accept it?",
            )
