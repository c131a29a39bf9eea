"""kill -9 of the eIM and of the SM-DP+ at random moments of provisioning; the same stores go on each time.

Command line (JSON on standard output):

    python tests/campaigns/server_kills.py --home /tmp/kills [--count 200] [--seed 1] [--only eim|smdpp] [--seconds N]

Card and IPA are in this process, the servers are processes of their own on fixed ports. Once for each kill: an order at
the SM-DP+, orders for a download and for an enable with rollback at the eIM, and a device that polls until it is
provisioned. A server, by turns, is killed at a random moment between the first order and about when all is done without
a kill, and started again at once. Then, on everything that was ever written:

- the orders are at the eIM once, done, their results verified: none lost, none doubled, whoever repeats them or not;
- no counterValue was signed twice with another package, and the audit log's chain holds;
- the card has the operational profile, enabled; the SM-DP+ has it as installed, and each notification once.

Afterwards the device goes back to its bootstrap profile and deletes the other, without a kill.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from virtual_card import VirtualCard  # noqa: E402

from bench.apdu.errors import CardNeedsReset  # noqa: E402
from bench.errors import BenchError, InstrumentError  # noqa: E402
from bench.station.clock import RealClock  # noqa: E402
from fixtures.eim.client import EimClient  # noqa: E402
from fixtures.ipa.hostpath import HostDataPath  # noqa: E402
from fixtures.ipa.ipa import Ipa, create  # noqa: E402
from fixtures.pki import Pki  # noqa: E402
from fixtures.profiles import ensure_default_packages  # noqa: E402
from fixtures.sim.euicc import EuiccOptions, VirtualEuicc  # noqa: E402
from fixtures.smdpp.client import SmdppClient  # noqa: E402
from fixtures.smdpp.service import SERVICE  # noqa: E402

EID = "89049032123451234512345678901235"
BOOTSTRAP, OPERATIONAL = "8900101000000000019", "8900101000000000027"
FQDN, SMDPP = "eim.bench.example", "smdpp.bench.example"
PATIENCE = 60.0
"""Seconds a provisioning has, its kill included."""
MARGIN = 1.3
"""Kills come up to this many times the duration of a provisioning without one."""


class Server:
    """A server process that is always started on the same ports."""

    def __init__(self, module: str, operator_port_option: str, home: Path, *options: str) -> None:
        self._command = [sys.executable, "-m", module, "serve", "--home", str(home), "--with-parent", *options]
        self._option = operator_port_option
        self._log = home / f"{module}.log"
        self._ports: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.announcement: dict[str, Any] = {}

    def start(self) -> None:
        """Start it and wait until it listens; where it listened before."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, *self._ports], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise InstrumentError("a server did not start again", where=str(self._log))
        self.announcement = json.loads(line)
        operator = self.announcement.get("operator") or self.announcement["admin"]
        self._ports = ["--port", self.announcement["https"].rsplit(":", 1)[1]]
        self._ports += [self._option, operator.rsplit(":", 1)[1]]

    @property
    def port(self) -> str:
        """Of the side towards devices."""
        return self._ports[1]

    def kill(self) -> None:
        """Kill -9 and wait for its end."""
        self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        process.wait(10)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


class Strike(threading.Thread):
    """Kills a server after ``delay`` seconds and starts it again; a thread, which waits for no turn of the loop."""

    def __init__(self, server: Server, delay: float, doing: Callable[[], str]) -> None:
        super().__init__(daemon=True)
        self._server, self._delay, self._doing = server, delay, doing
        self.at = ""
        """What was being done when it struck."""
        self.error = ""

    def run(self) -> None:
        time.sleep(self._delay)
        self.at = self._doing()
        try:
            self._server.kill()
            self._server.start()
        except (BenchError, OSError, subprocess.SubprocessError) as error:
            self.error = str(error)


@dataclass
class Lab:
    """The card, the IPA and the servers."""

    home: Path
    card: VirtualCard
    eim: Server
    smdpp: Server
    client: EimClient
    server: SmdppClient
    ipa: Ipa
    doing: str = ""
    polls: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    """Errors of polls that a device would get over."""

    def now(self) -> str:
        """Return what is being done: in a poll, what the IPA does."""
        loop = self.ipa._loop
        return self.doing or (loop.doing if loop is not None else "connecting")

    async def patient(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Return what a call to a server returns, when it is there again."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return await call()
            except InstrumentError:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.02)

    async def poll(self) -> None:
        """Poll as a device does: whatever goes wrong, again later."""
        self.polls += 1
        self.doing = ""
        try:
            found = await self.ipa.poll()
            if found.profile_changed:
                await self.card.reset()
        except CardNeedsReset:
            await self.card.reset()
        except BenchError as error:
            self.broken[type(error).__name__] += 1
            await asyncio.sleep(0.02)

    async def until_final(self, *numbers: str) -> list[Any]:
        """Poll until orders are final and the card has nothing to deliver any more."""
        end = time.monotonic() + PATIENCE
        while True:
            await self.poll()
            self.doing = "looking"
            orders = [await self.patient(lambda number=number: self.client.show(number)) for number in numbers]
            if all(order.final for order in orders) and not self.card.euicc.state().notifications:
                return orders
            if time.monotonic() > end:
                return orders

    async def provision(self, name: str) -> dict[str, Any]:
        """Download and enable; return the orders and what was ordered at the SM-DP+."""
        self.doing = "ordering"
        profile = await self.patient(lambda: self.server.order("operational"))
        options = {"attempts": 20, "retry_after": 0.01}
        download = await self.patient(
            lambda: self.client.order(
                EID, "download", {"activation_code": profile.activation_code}, key=f"{name} download", **options
            )
        )
        enable = await self.patient(
            lambda: self.client.order(
                EID, "enable", {"iccid": OPERATIONAL, "rollback": True}, key=f"{name} enable", **options
            )
        )
        orders = await self.until_final(download.order_id, enable.order_id)
        self.doing = "notifications"
        notes = await self.patient(lambda: self.client.notifications(EID, wait=PATIENCE / 4))
        return {"matching_id": profile.matching_id, "orders": orders, "notifications": notes}

    async def back(self) -> None:
        """Go back to the bootstrap profile, and delete the other."""
        for kind, iccid in (("enable", BOOTSTRAP), ("delete", OPERATIONAL)):
            order = await self.client.order(EID, kind, {"iccid": iccid})
            (shown,) = await self.until_final(order.order_id)
            if shown.state != "done" and not (kind == "enable" and self.enabled() == BOOTSTRAP):
                raise InstrumentError(f"the way back: {kind} ended {shown.state}: {shown.error}")

    def enabled(self) -> str:
        """Return the ICCID of the enabled profile."""
        return next((profile.iccid for profile in self.card.euicc.state().profiles if profile.enabled), "")


@asynccontextmanager
async def lab(home: Path) -> AsyncIterator[Lab]:
    """Put everything together on ``home``."""
    pki = Pki.open(home)
    packages = ensure_default_packages(home)
    card = VirtualEuicc.open(
        home / "card", pki=pki, eid=EID, bootstrap=packages.bootstrap, options=EuiccOptions(fsync=False)
    )
    card.power_on()
    access = VirtualCard(card)
    smdpp = Server("fixtures.smdpp", "--admin-port", home)
    try:
        smdpp.start()
        eim = Server(
            "fixtures.eim", "--operator-port", home, "--route", f"{SMDPP}=127.0.0.1:{smdpp.port}",
            "--keep-orders", "100000", "--max-hand-outs", "50", "--rate-limit", "1000000",
        )  # fmt: skip
        try:
            eim.start()
            options = {"route": {FQDN: f"127.0.0.1:{eim.port}"}, "retry_delay": 0.01}
            ipa = create(access, HostDataPath(), RealClock(), options=options, home=home)
            client = EimClient.from_announcement(eim.announcement)
            server = SERVICE.client(smdpp.announcement, home)
            made = Lab(home, access, eim, smdpp, client, server, ipa)
            try:
                await client.register(EID)
                if not await ipa.eims():
                    await ipa.add_initial_eim(await client.initial_configuration())
                yield made
            finally:
                await client.close()
                await server.close()
                await ipa.close()
        finally:
            eim.end()
    finally:
        smdpp.end()


async def problems(made: Lab, name: str, done: dict[str, Any]) -> list[str]:
    """Return what is not as it must be after a provisioning."""
    found = []
    every = await made.client.call("GET", "/orders", query={"eid": EID, "newest": "2"})
    if [str(order["order_id"]) for order in every] != [order.order_id for order in done["orders"]]:
        found.append(f"the newest orders are {[order['order_id'] for order in every]}")
    for order in done["orders"]:
        if order.state != "done" or not order.verified:
            found.append(f"{order.kind} ended {order.state}, verified {order.verified}: {dict(order.error)}")
    for kind, parameters in (
        ("download", {"activation_code": f"LPA:1${SMDPP}${done['matching_id']}"}),
        ("enable", {"iccid": OPERATIONAL, "rollback": True}),
    ):
        again = await made.client.order(EID, kind, parameters, key=f"{name} {kind}")
        if again.order_id not in [order.order_id for order in done["orders"]]:
            found.append(f"the repeated {kind} made order {again.order_id}")
    state = made.card.euicc.state()
    profiles = {profile.iccid: profile.enabled for profile in state.profiles}
    if profiles != {BOOTSTRAP: False, OPERATIONAL: True} or len(state.profiles) != 2 or state.loading:
        found.append(f"the card has {profiles}")
    if state.notifications:
        found.append(f"{len(state.notifications)} notifications are left on the card")
    if unsent := [note for note in done["notifications"] if not note["forwarded"]]:
        found.append(f"not at the SM-DP+: {unsent[0]['event']} {unsent[0]['last_error']}")
    profile = await made.server.state(done["matching_id"])
    events = Counter(str(item["event"]) for item in profile.notifications)
    if profile.state != "installed" or events != {"install": 1, "enable": 1}:
        found.append(f"the SM-DP+ has {profile.state}, {dict(events)}")
    return found


async def history(made: Lab) -> list[str]:
    """Return what is wrong in all that was ever written."""
    found = []
    check = await made.client.call("GET", "/audit/verify")
    if check["problem"]:
        found.append(f"audit log: {check['problem']}")
    used: dict[int, str] = {}
    for entry in await made.client.call("GET", "/audit", query={"newest": "100000"}):
        if entry["what"] == "key used":
            counter, package = entry["details"]["counter"], entry["details"]["package"]
            if used.setdefault(counter, package) != package:
                found.append(f"counterValue {counter} was signed twice")
    orders = await made.client.call("GET", "/orders", query={"eid": EID, "newest": "100000"})
    if left := [order["order_id"] for order in orders if not order["final"]]:
        found.append(f"orders {left} are not final")
    return found


async def campaign(home: Path, count: int, seed: int, only: str = "", seconds: float = float("inf")) -> dict[str, Any]:
    """Run the campaign; return its figures."""
    randomness = random.Random(seed)
    started = time.monotonic()
    failures: list[dict[str, Any]] = []
    moments: Counter[str] = Counter()
    victims: Counter[str] = Counter()
    retried = late = kills = 0
    async with lab(home) as made:
        lasts = []
        for number in range(3):  # the first one learns certificates and compiles messages
            before = time.monotonic()
            done = await made.provision(f"{seed} baseline {number} {started}")
            lasts.append(time.monotonic() - before)
            if found := await problems(made, f"{seed} baseline {number} {started}", done):
                failures.append({"kill": None, "problems": found})
            await made.back()
        usual = min(lasts[1:])
        made.broken.clear()
        while kills < count and time.monotonic() - started < seconds and len(failures) < 20:
            victim = only or ("eim", "smdpp")[kills % 2]
            name, delay = f"{seed} kill {kills} {started}", randomness.uniform(0, MARGIN * usual)
            strike = Strike(made.eim if victim == "eim" else made.smdpp, delay, made.now)
            strike.start()
            done = await made.provision(name)
            late += strike.is_alive()
            await asyncio.to_thread(strike.join, PATIENCE)
            kills += 1
            victims[victim] += 1
            moments[strike.at or "before"] += 1
            shown = [await made.client.call("GET", f"/orders/{order.order_id}") for order in done["orders"]]
            retried += any(order["attempt"] > 1 for order in shown)
            found = await problems(made, name, done) + ([strike.error] if strike.error else [])
            if found:
                failures.append({"kill": kills, "of": victim, "after": delay, "at": strike.at, "problems": found})
            await made.back()
            if kills % 20 == 0:
                print(f"{kills} kills, {len(failures)} failures, {time.monotonic() - started:.0f} s", file=sys.stderr)
        wrong = await history(made)
    return {
        "campaign": "server-kills",
        "seed": seed,
        "kills": kills,
        "of": dict(victims),
        "moments": dict(moments.most_common()),
        "after all was done": late,
        "orders tried again": retried,
        "polls": made.polls,
        "polls that failed": dict(made.broken),
        "provisioning without a kill, s": round(usual, 3),
        "failures": failures,
        "history": wrong,
        "seconds": round(time.monotonic() - started, 1),
    }


def main() -> int:
    """Parse the command line, print JSON, 0 when nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="bench home (default: a temporary one)")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("eim", "smdpp"), default="")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after about this long")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        home = options.home
        if home is None:
            home = Path(tempfile.mkdtemp(prefix="server-kills-"))
            stack.callback(shutil.rmtree, home, ignore_errors=True)
        home.mkdir(parents=True, exist_ok=True)
        figures = asyncio.run(campaign(home.absolute(), options.count, options.seed, options.only, options.seconds))
    print(json.dumps(figures, indent=1))
    return 1 if figures["failures"] or figures["history"] or figures["kills"] == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
