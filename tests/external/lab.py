"""A bench whose eIM and SM-DP+ are a lab's own: templates, bench.toml, runs, and the servers' process."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.external.foreign import TOKEN

BENCH = [sys.executable, "-m", "bench.cli.main"]
DEADLINE = 90.0
ROOT = Path(__file__).parents[2]

EIM = """
[server]
url = "{url}"
ca = "{certificate}"
token_env = "LAB_TOKEN"
token_header = "X-Lab-Token"
token_form = "key={{token}}"
timeout = {timeout}
retries = 2
retry_after = 0.05
settle = 5
reason = "/problem/detail"

[operations.euicc]
method = "GET"
path = "/v2/devices/{{eid}}"
answer = {{ known = "/device/enrolled", polls = "/device/counters/polls" }}

[operations.register]
method = "PUT"
path = "/v2/devices/{{eid}}"
repeat = "safe"

[operations.configuration]
method = "GET"
path = "/v2/devices/{{eid}}/bootstrap-config"
answer = {{ configuration = "/data/asn1" }}

[operations.download]
method = "POST"
path = "/v2/devices/{{eid}}/jobs"
headers = {{ "X-Request-Id" = "{{key}}" }}
repeat = "{repeat}"
body = {{ job = {{ type = "DOWNLOAD", download = {{ code = "{{activation_code}}" }} }} }}
answer = {{ order_id = "/job/ref", state = "/job/phase" }}

[operations.enable]
method = "POST"
path = "/v2/devices/{{eid}}/jobs"
headers = {{ "X-Request-Id" = "{{key}}" }}
repeat = "{repeat}"
body.job = {{ type = "PROFILE_ENABLE", profile = {{ iccid = "{{iccid}}" }}, options = {{ rollback = "{{rollback}}" }} }}
answer = {{ order_id = "/job/ref" }}

[operations.delete]
method = "POST"
path = "/v2/devices/{{eid}}/jobs"
headers = {{ "X-Request-Id" = "{{key}}" }}
repeat = "{repeat}"
body.job = {{ type = "PROFILE_DELETE", profile = {{ iccid = "{{iccid}}" }} }}
answer = {{ order_id = "/job/ref" }}

[operations.listProfileInfo]
method = "POST"
path = "/v2/devices/{{eid}}/jobs"
headers = {{ "X-Request-Id" = "{{key}}" }}
repeat = "{repeat}"
body.job = {{ type = "AUDIT" }}
answer = {{ order_id = "/job/ref" }}

[operations.show]
method = "GET"
path = "/v2/jobs/{{order_id}}"
[operations.show.answer]
state = "/job/phase"
reason = "/job/fault/text"
profiles = "/job/inventory"
profile_iccid = "/icc"
profile_enabled = "/on"

[operations.cancel]
method = "DELETE"
path = "/v2/jobs/{{order_id}}"
repeat = "safe"

[states]
ON_HOLD = "held"
QUEUED = "pending"
HANDED_OUT = "sent"
IN_PROGRESS = "running"
COMPLETED = "done"
FAILED = "failed"
WITHDRAWN = "cancelled"
TIMED_OUT = "expired"
"""

SMDPP = """
[server]
url = "{url}/rsp"
ca = "{certificate}"
token_env = "LAB_TOKEN"
token_header = "X-Lab-Token"
token_form = "key={{token}}"
timeout = {timeout}
retries = 2
retry_after = 0.05
reason = "/problem/detail"

[profiles]
operational = "IOT-1"

[operations.order]
method = "POST"
path = "/profiles"
headers = {{ "X-Request-Id" = "{{key}}" }}
repeat = "{repeat}"
body = {{ product = "{{profile}}", target = "{{eid}}" }}
answer = {{ iccid = "/result/0/icc", matching_id = "/result/0/token" }}

[operations.state]
method = "GET"
path = "/profiles/{{matching_id}}"
answer = {{ state = "/profile/phase" }}
{notifications}
[states]
RELEASED = "released"
DOWNLOADED = "downloaded"
INSTALLED = "installed"
ERROR = "error"
UNAVAILABLE = "unavailable"

[events]
INSTALL = "install"
ENABLE = "enable"
DISABLE = "disable"
DELETE = "delete"
"""
NOTIFICATIONS = """
[operations.notifications]
method = "GET"
path = "/profiles/{matching_id}"
answer = { items = "/events", event = "/what", seq = "/no" }
"""


@dataclass
class Lab:
    """A folder with home, templates and bench.toml; ``told``: what the servers' process announced."""

    folder: Path
    told: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def write(
        self,
        *,
        eim: bool = True,
        smdpp: bool = True,
        repeat: str = "key",
        timeout: float = 10.0,
        notifications: bool = True,
    ) -> None:
        values = {"repeat": repeat, "timeout": timeout, "notifications": NOTIFICATIONS if notifications else ""}
        (self.folder / "eim.toml").write_text(EIM.format(**values, **self.told))
        (self.folder / "smdpp.toml").write_text(SMDPP.format(**values, **self.told))
        tables = []
        if eim:
            at = self.told["eim"]
            tables.append(
                f'[eim]\nkind = "external"\nadapter = "rest"\ntemplate = "eim.toml"\nadvertise = "{at["fqdn"]}"\n'
                f'eim_id = "{at["eim_id"]}"\nreach = "{at["reach"]}"\nreach_coaps = "{at["coaps"]}"\n'
                f'ca = "{at["ca"]}"\n'
            )
        if smdpp:
            at = self.told["smdpp"]
            tables.append(
                f'[smdpp]\nkind = "external"\nadapter = "rest"\ntemplate = "smdpp.toml"\n'
                f'advertise = "{at["address"]}"\nreach = "{at["reach"]}"\nca = "{at["ca"]}"\n'
            )
        (self.folder / "bench.toml").write_text("\n".join(tables))

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("BENCH_CONFIG", "NO_COLOR")}
        return {**kept, "BENCH_HOME": str(self.home), "LAB_TOKEN": TOKEN}

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*BENCH, *arguments],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done

    def run(self, recipe: str, *sets: str, station: str = "sim") -> dict[str, Any]:
        """Run a recipe; return what ``--json`` printed, with the run folder's ``result.json`` as ``result``."""
        arguments = ["run", recipe, "--station", station, "--json", "--seed", "7"]
        for value in sets:
            arguments += ["--set", value]
        done = self.call(*arguments)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        found["result"] = json.loads((Path(found["folder"]) / "result.json").read_text())
        return found

    def ask(self, path: str, body: Any = None) -> Any:
        """Speak to the servers' process as its owner."""
        context = ssl.create_default_context(cafile=self.told["certificate"])
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(self.told["url"] + path, data=data, context=context, timeout=10) as answer:
            return json.loads(answer.read())

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """Have the servers do something wrong within the block."""
        self.ask("/faults", {"fault": name})
        try:
            yield
        finally:
            self.ask("/faults", {"fault": ""})


@contextmanager
def foreign(folder: Path) -> Iterator[Lab]:
    """A lab with its own eIM and SM-DP+ running."""
    lab = Lab(folder)
    lab.home.mkdir(parents=True)
    (folder / "servers").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.external.foreign", str(lab.home), str(folder / "servers")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        lab.told = json.loads(process.stdout.readline())
        yield lab
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def output_of(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr


def everything(folder: Path) -> bytes:
    """Return all bytes of all files in a folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
