"""Servers that a person orders from: at a terminal, refused without one, and the file of activation codes."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import ssl
import subprocess
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cli.answers import chosen
from bench.errors import BenchError, ConfigurationError, InstrumentError, Refused
from bench.station.external import AdapterContext
from bench.station.interfaces import is_external, offers
from bench.station.model import EimConfig, SmdppConfig
from bench.station.order_key import same_order
from bench.trace.lane import NullLane
from instruments.external.adapters import ASK
from instruments.external.ask import AskEim, AskSmdpp, codes_in
from tests.external.foreign import TOKEN
from tests.external.lab import BENCH, DEADLINE, Lab, foreign, output_of

EID = "89049032123451234512345678901235"
ICCID = "8900000000000000001"
WORDS = {"download": "DOWNLOAD", "enable": "PROFILE_ENABLE", "delete": "PROFILE_DELETE"}


class Operator:
    """The person: orders at the foreign servers what the terminal asks for, and types the answer."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.questions: list[str] = []

    def rest(self, method: str, path: str, body: Any) -> Any:
        context = ssl.create_default_context(cafile=self.lab.told["certificate"])
        headers = {"X-Lab-Token": f"key={TOKEN}", "X-Request-Id": str(uuid.uuid4())}
        request = urllib.request.Request(self.lab.told["url"] + path, json.dumps(body).encode(), headers, method=method)
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:
            return json.loads(answer.read() or b"{}")

    def answer(self, question: str) -> str:
        self.questions.append(question)
        placed = re.search(r"for EID (\d{32}): (.*)\. Then answer", question)
        if question.startswith("Place this order") and placed:
            job: dict[str, Any]
            if "activation_code" in placed[2]:
                code = re.search(r"activation_code ([^,)]+)", placed[2])
                assert code is not None
                job = {"type": "DOWNLOAD", "download": {"code": code[1]}}
            else:
                iccid = re.search(r"iccid (\d+)", placed[2])
                assert iccid is not None
                job = {"type": WORDS[placed[2].split()[0]], "profile": {"iccid": iccid[1]}}
                job["options"] = {"rollback": "rollback True" in placed[2]}
            self.rest("POST", f"/v2/devices/{urllib.parse.quote(placed[1])}/jobs", {"job": job})
            return "done"
        if question.startswith("Make a profile"):
            made = self.rest("POST", "/rsp/profiles", {"product": "IOT-1"})["result"][0]
            with (self.lab.folder / "codes.txt").open("a") as file:
                address = self.lab.told["smdpp"]["address"]
                file.write(f"operational LPA:1${address}${made['token']} {made['icc']}\n")
            return "1"  # the first of the choices
        if question.startswith("What does your SM-DP+"):
            return "inst"  # as long as only one begins so
        assert question.startswith("What does your eIM"), question
        return "done"


def attended(lab: Lab, arguments: Sequence[str], operator: Operator) -> tuple[int, str]:
    """Run the command line at a terminal of its own; return exit code and what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*BENCH, *arguments],
        cwd=lab.folder,
        env={**lab.environment(), "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown, answered, until = "", 0, time.monotonic() + DEADLINE
    try:
        while time.monotonic() < until:
            if not select.select([ours], [], [], 1.0)[0]:
                continue
            try:
                data = os.read(ours, 65536)
            except OSError:  # the terminal is closed
                break
            shown += data.decode(errors="replace")
            asked = re.findall(r"\? (.*?)  \[[^\]]*\]\r?\n", shown)
            while len(asked) > answered:
                os.write(ours, operator.answer(asked[answered]).encode() + b"\n")
                answered += 1
        return process.wait(timeout=20), shown
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with foreign(tmp_path_factory.mktemp("asked")) as found:
        yield found


def write(lab: Lab, *, waived: bool = True) -> None:
    eim, smdpp = lab.told["eim"], lab.told["smdpp"]
    options = '{ codes = "codes.txt", judge_without = ["notifications"] }' if waived else '{ codes = "codes.txt" }'
    (lab.folder / "bench.toml").write_text(
        f'[eim]\nkind = "external"\nadapter = "ask"\nadvertise = "{eim["fqdn"]}"\neim_id = "{eim["eim_id"]}"\n'
        f'reach = "{eim["reach"]}"\nca = "{eim["ca"]}"\n'
        f'[smdpp]\nkind = "external"\nadapter = "ask"\nadvertise = "{smdpp["address"]}"\nreach = "{smdpp["reach"]}"\n'
        f'ca = "{smdpp["ca"]}"\noptions = {options}\n'
    )


@pytest.mark.timeout(120)
def test_main_job_with_orders_placed_by_a_person(lab: Lab) -> None:
    write(lab)
    # A person cannot type an EimConfigurationData: a card without eIM is said to be one.
    operator = Operator(lab)
    code, shown = attended(lab, ["run", "bootstrap-to-operational", "--seed", "7"], operator)
    assert code == 3, shown
    assert "no eIM is associated with the card" in shown
    lab.write()
    assert lab.run("profile-switch")["verdict"] == "pass"  # associates it, by REST
    write(lab)
    operator = Operator(lab)
    code, shown = attended(lab, ["run", "bootstrap-to-operational", "--seed", "7"], operator)
    assert code == 0, shown
    text = "\n".join(operator.questions)
    for words in ("Make a profile 'operational' ready", "an indirect profile download", "enable (iccid", "What does"):
        assert words in text, text
    done = lab.call("show", "last", "--json")
    folder = Path(json.loads(done.stdout)["folder"])
    journal = (folder / "journal.jsonl").read_text()
    assert "of its notifications nothing is known" in journal  # said, and waived by judge_without
    assert '"type":"answer"' in journal.replace(" ", "")
    result = json.loads((folder / "result.json").read_text())
    assert set(result["lanes_not_recorded"]) == {"esipa", "es9plus", "es2plus"}


def test_unattended_it_is_refused_before_anything_is_touched(lab: Lab) -> None:
    write(lab)
    runs = sorted((lab.home / "runs").glob("2*"))
    done = lab.call("run", "bootstrap-to-operational", "--station", "sim")
    assert done.returncode == 2, output_of(done)
    assert "placed by a person, and this run is unattended" in output_of(done)
    assert "--attended" in output_of(done)
    assert sorted((lab.home / "runs").glob("2*")) == runs


# --- without a run --------------------------------------------------------------------------------------------------


class Script:
    """Answers as they are listed."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, text: str, choices: Sequence[str], *, timeout: float | None = None) -> str:
        self.asked.append(text)
        answer = self.answers.pop(0)
        if answer == "nobody":
            raise TimeoutError
        assert answer in choices
        return answer


def context(folder: Path) -> AdapterContext:
    return AdapterContext(folder, NullLane, lambda text: None)


def eim(folder: Path, *answers: str) -> tuple[AskEim, Script]:
    made, script = AskEim(EimConfig(kind="external", adapter="ask", advertise="eim.lab"), context(folder)), None
    script = Script(*answers)
    made.asker = script
    return made, script


def test_what_the_person_is_asked_and_what_becomes_of_it(tmp_path: Path) -> None:
    async def main() -> None:
        made, script = eim(tmp_path, "done", "waiting", "cannot tell", "failed", "failed", "nobody")
        assert is_external(made)
        assert not offers(made, "misbehaviour")
        order = await made.order_enable(EID, ICCID, rollback=True)
        assert script.asked[-1] == (
            f"Place this order at your eIM eim.lab for EID {EID}: enable (iccid {ICCID}, rollback True). Then answer."
        )
        assert (order.state, order.verified) == ("pending", None)
        assert (await made.show(order.order_id)).state == "sent"
        assert (await made.show(order.order_id)).state == "unknown"
        assert (await made.show(order.order_id)).state == "failed"
        assert (await made.show(order.order_id)).state == "failed"  # as it ended: not asked again
        with pytest.raises(InstrumentError, match="could not be placed"):
            await made.order_delete(EID, ICCID)
        with pytest.raises(InstrumentError, match="nobody answered within"):
            made._person._timeout = 1.0
            await made.order_list(EID)
        with pytest.raises(Refused, match="does not offer 'configuration'"):
            await made.initial_configuration(EID)
        made.asker = None
        with pytest.raises(Refused, match="nobody can be asked"):
            await made.order_list(EID)
        with same_order("cycle 5"):  # in a step that was interrupted behind it: the person is asked once
            placed = [await eim(tmp_path, "done")[0].order_enable(EID, ICCID, rollback=True)]
            placed += [await eim(tmp_path)[0].order_enable(EID, ICCID, rollback=True)]
        assert placed[0] == placed[1]
        with same_order("cycle 6"):  # interrupted as the person was asked
            made._book.begin(EID, "enable", {"iccid": ICCID})
            resumed, script = eim(tmp_path, "done")
            assert (await resumed.order_enable(EID, ICCID, rollback=True)).state == "pending"
        assert "where it is placed already, leave it at that. Then answer." in script.asked[-1]
        again, _ = eim(tmp_path)
        assert [order.state for order in await again.orders(EID)][:2] == ["failed", "cancelled"]

    asyncio.run(main())


def test_codes_are_used_once_each(tmp_path: Path) -> None:
    config = SmdppConfig(
        kind="external", advertise="smdpp.lab", options={"codes": "codes.txt"}, origin=f"{tmp_path}/bench.toml:3"
    )

    def made(*answers: str) -> AskSmdpp:
        found = AskSmdpp(config, context(tmp_path / "home"))
        found.asker = Script(*answers)
        return found

    async def main() -> None:
        codes = tmp_path / "codes.txt"
        codes.write_text(
            f"# for the lab\noperational LPA:1$smdpp.lab$A {ICCID}\nother 1$smdpp.lab$B {ICCID}\n"
            f"operational LPA:1$smdpp.lab$C$1.2.3$1 {ICCID}F\n"
        )
        first = await made().order("operational", eid=EID)
        assert (first.matching_id, first.iccid, first.activation_code) == ("A", ICCID, "LPA:1$smdpp.lab$A")
        second = await made().order("operational", eid=EID)
        assert (second.matching_id, second.activation_code) == ("C", "LPA:1$smdpp.lab$C$1.2.3$1")
        with codes.open("a") as file:
            file.write(f"operational LPA:1$smdpp.lab$D {ICCID}\noperational LPA:1$smdpp.lab$E {ICCID}\n")
        with same_order("cycle 5"):  # in a step that was interrupted behind it: the code that it took
            assert [(await made().order("operational", eid=EID)).matching_id for _ in range(2)] == ["D", "D"]
        assert (await made().order("operational", eid=EID)).matching_id == "E"
        with pytest.raises(InstrumentError, match="no unused activation code"):
            await made("done").order("operational", eid=EID)
        state = await made("installed").state("A")
        assert (state.state, state.notifications_told, state.iccid) == ("installed", False, ICCID)

    asyncio.run(main())
    with pytest.raises(ConfigurationError, match="'codes' is missing"):
        ASK.abilities("smdpp", SmdppConfig(kind="external", advertise="x"))
    with pytest.raises(ConfigurationError, match="there is no option 'tiemout'"):
        ASK.abilities("eim", EimConfig(kind="external", advertise="x", options={"tiemout": 3}))


@given(st.text(max_size=200))
def test_any_text_is_a_list_of_codes_or_a_named_line(text: str) -> None:
    try:
        found = codes_in(text, "codes.txt")
    except BenchError as error:
        assert error.where.startswith("codes.txt:")
        return
    assert all(order.matching_id and order.smdp_address for _, order in found)


@pytest.mark.parametrize(
    ("typed", "choice"),
    [("done", "done"), (" DONE \r", "done"), ("2", "cannot"), ("c", "cannot"), ("d", None), ("", None), ("9", None)],
)
def test_what_is_typed(typed: str, choice: str | None) -> None:
    assert chosen(typed, ("done", "cannot", "defer")) == choice
