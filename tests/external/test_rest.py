"""What a REST server may do to the adapter: down, slow, busy, garbage, impostors. Nothing is ordered twice."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError, ConfigurationError, InstrumentError, InstrumentTimeout
from bench.station.external import AdapterContext
from bench.station.model import EimConfig
from bench.station.order_key import same_order
from bench.station.tables import Document
from bench.trace.lane import Direction, NullLane
from instruments.external import credentials, template
from instruments.external.book import Book
from instruments.external.eim import RestEim
from instruments.external.rest import Answer, NotFound, Unsure
from tests.external.foreign import certificate
from tests.external.test_pointer_and_template import GOOD, JSON

TOKEN = "token-of-the-tests-0123456789"
EID = "89049032123451234512345678901235"
ICCID = "8900000000000000001"


class Kept(NullLane):
    """A lane that keeps what it is given."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self.told: list[str] = []

    def record(
        self,
        direction: Direction,
        data: bytes,
        *,
        time_ns: int | None = None,
        comment: str | None = None,
        dissector: str | None = None,
    ) -> None:
        self.told.append(f"{direction.name} {data!r} {comment}")


class Side:
    """A server in this process; ``answer`` is what it does with the requests in ``seen``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[tuple[str, str, str, Any]] = []
        self.answer: Callable[[web.Request], Any] = lambda request: web.json_response({"id": 7, "state": "OK"})
        self.lane = Kept("rest:eim")
        self.warnings: list[str] = []
        self.url = ""
        self.made: list[RestEim] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.seen.append((request.method, request.path, request.headers.get("Authorization", ""), body))
        found = self.answer(request)
        return await found if asyncio.iscoroutine(found) else found

    def eim(self, text: str = "", **changes: str) -> RestEim:
        made = GOOD.replace("https://eim.lab.example/v1/", self.url).replace('token_env = "T"', 'token_file = "token"')
        for old, new in changes.items():
            made = made.replace(f"# {old}", new)
        made = made.replace("[operations.download]", f"retry_after = 0.01\n{text}\n[operations.download]", 1)
        (self.folder / "token").write_text(TOKEN + "\n")
        read = template.read(Document(made, "t.toml"), "eim", self.folder)
        config = EimConfig(kind="external", adapter="rest", advertise="eim.lab.example", eim_id="1.2.3")
        context = AdapterContext(self.folder / "home", lambda name: self.lane, self.warnings.append)
        eim = RestEim(config, read, context)
        self.made.append(eim)
        return eim


@asynccontextmanager
async def side(folder: Path, tls: ssl.SSLContext | None = None) -> AsyncIterator[Side]:
    found = Side(folder)
    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{tail:.*}", found.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    found.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(60):
            yield found
    finally:
        for eim in found.made:
            await eim.close()
        await runner.cleanup()


def ordered(eim: RestEim) -> Any:
    return eim.order_enable(EID, ICCID, rollback=True)


KEYED = 'token_form = "Bearer {token}"'


def keyed(found: Side) -> RestEim:
    """An eIM whose orders may be repeated with their key."""
    eim = found.eim()
    operations = dict(eim._template.operations)
    from dataclasses import replace

    for name in ("enable", "download", "delete"):
        operations[name] = replace(operations[name], repeat="key", headers={"Idempotency-Key": "{key}"})
    made = replace(eim._template, operations=operations)
    eim._template = eim._rest.template = made
    return eim


def test_an_order_and_what_the_server_is_sent(tmp_path: Path) -> None:
    async def main() -> None:
        async with side(tmp_path) as found:
            eim = found.eim()
            order = await ordered(eim)
            assert (order.order_id, order.state, order.verified, order.kind) == ("7", "pending", None, "enable")
            assert order.ordered["iccid"] == ICCID
            assert found.seen == [("POST", f"/e/{EID}", f"Bearer {TOKEN}", {"iccid": ICCID, "rollback": True})]
            shown = await eim.show("7")
            assert shown.state == "done"
            assert await eim.show("7") == shown  # as it ended: not asked again
            assert len(found.seen) == 2
            assert not any(TOKEN in line for line in found.lane.told)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "body", "words", "hint"),
    [
        (401, {}, "does not let the bench in (HTTP 401", "token"),
        (403, {}, "does not let the bench in (HTTP 403", "may not do this"),
        (404, {}, "knows nothing there", "is the path right"),
        (422, {"error": {"message": "no such profile"}}, "refused 'enable' (HTTP 422", "fit what it expects"),
        (302, {}, "sends the bench elsewhere", "correct 'url'"),
        (200, {"nothing": 1}, "the answer has no order_id at /id", "correct the pointer"),
        (200, {"id": None}, "order_id at /id is empty", "told later"),
        (200, {"id": {"x": 1}}, "order_id is an object, a text or a number is due", "correct the pointer"),
        (200, {"id": "9", "state": "ODD"}, "", ""),
    ],
)
def test_answers_that_are_no_good(status: int, body: Any, words: str, hint: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with side(tmp_path) as found:
            found.answer = lambda request: web.json_response(
                {**body, "you": request.headers["Authorization"]}, status=status, headers={"Location": "/elsewhere"}
            )
            eim = found.eim()
            if not words:
                await ordered(eim)
                with pytest.raises(BenchError, match="the state 'ODD'") as caught:
                    await eim.show("9")
            else:
                with pytest.raises(InstrumentError) as caught:
                    await ordered(eim)
            assert words in caught.value.what
            assert hint in caught.value.hint
            assert TOKEN not in str(caught.value)
            assert all(path != "/elsewhere" for _, path, _, _ in found.seen)
            assert not any(TOKEN in line for line in found.lane.told)
            if status in (401, 403, 422):  # a plain no: nothing is left in doubt
                assert [entry.state for entry in eim._book.of(EID)] == ["cancelled"]

    asyncio.run(main())


@pytest.mark.parametrize(
    "raw", [b"", b"<html>log in</html>", b"\xff\xfe", b"[" * 100_000, b'{"id": 1', b"NaN nonsense", b" " * (5 << 20)]
)
def test_garbage_is_no_json(raw: bytes, tmp_path: Path) -> None:
    async def main() -> None:
        async with side(tmp_path) as found:
            found.answer = lambda request: web.Response(body=raw, content_type="application/json")
            eim = found.eim()
            with pytest.raises(InstrumentError) as caught:
                await ordered(eim)
            assert "no JSON" in caught.value.what or "longer than" in caught.value.what
            assert caught.value.hint
            assert len(found.seen) == 1
            # It answered with a good status: it may have taken the order.
            assert [entry.state for entry in eim._book.of(EID)] == [""]

    asyncio.run(main())


def test_nobody_listens(tmp_path: Path) -> None:
    async def main() -> None:
        async with side(tmp_path) as found:
            pass
        eim = found.eim()
        with pytest.raises(InstrumentError, match="cannot be reached") as caught:
            await ordered(eim)
        assert "does it run" in caught.value.hint
        assert [entry.state for entry in eim._book.of(EID)] == ["cancelled"]
        await eim.close()

    asyncio.run(main())


def test_slow_or_broken_server_gets_an_order_once_and_a_question_again(tmp_path: Path) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        raise AssertionError

    async def broken(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def main() -> None:
        async with side(tmp_path) as found:
            eim = found.eim("timeout = 0.3\nretries = 2")
            await ordered(eim)
            for answer, words in ((slow, "no answer within 0.3 s"), (broken, "the connection broke")):
                found.answer = answer
                found.seen.clear()
                with pytest.raises(Unsure, match=words) as caught:
                    await ordered(eim)
                assert "whether the eIM has taken it is not known" in caught.value.what
                assert "repeat = 'key'" in caught.value.hint
                assert len(found.seen) == 1  # never twice
                found.seen.clear()
                with pytest.raises(InstrumentTimeout, match=words):
                    await eim.show("7")
                assert len(found.seen) == 3

    asyncio.run(main())


def test_busy_server_is_asked_again_as_it_wants(tmp_path: Path) -> None:
    async def main() -> None:
        async with side(tmp_path) as found:
            eim = found.eim("retries = 2")
            answers = [
                web.json_response({}, status=429, headers={"Retry-After": "0"}),
                web.json_response({}, status=503),
                web.json_response({"id": "a"}),
            ]
            found.answer = lambda request: answers.pop(0)
            assert (await ordered(eim)).order_id == "a"  # 429 and 503: certainly not carried out
            found.answer = lambda request: web.json_response({}, status=500)
            found.seen.clear()
            with pytest.raises(InstrumentError, match="HTTP 500"):
                await ordered(eim)
            assert len(found.seen) == 1
            with pytest.raises(InstrumentError, match="HTTP 500"):
                await eim.show("a")
            assert len(found.seen) == 4

    asyncio.run(main())


def test_lost_order_is_found_again_by_its_key(tmp_path: Path) -> None:
    """The run ended between request and answer: the next one has the order, and the server has it once."""

    async def main() -> None:
        async with side(tmp_path) as found:
            taken: dict[str, str] = {}
            arrived = asyncio.Event()

            async def answer(request: web.Request) -> web.StreamResponse:
                if request.method == "GET":
                    return web.json_response({"state": "OK"})
                key = request.headers["Idempotency-Key"]
                if key not in taken:
                    taken[key] = f"n{len(taken)}"
                    arrived.set()
                    await asyncio.sleep(30)
                return web.json_response({"id": taken[key]})

            found.answer = answer
            eim = keyed(found)
            task = asyncio.ensure_future(ordered(eim))
            await arrived.wait()
            task.cancel()  # what the runner's death is to it: the book says what was begun
            await asyncio.wait({task})
            again = keyed(found)
            orders = await again.orders(EID)
            assert [(order.order_id, order.state) for order in orders] == [("n0", "done")]
            assert len(taken) == 1
            assert not found.warnings

    asyncio.run(main())


def test_an_order_of_an_interrupted_step_is_the_one_that_was_placed(tmp_path: Path) -> None:
    """Whether the book has its number, or it was on its way, or was not taken."""

    async def main() -> None:
        async with side(tmp_path) as found:
            taken: list[str] = []
            status = [500, 200]

            async def answer(request: web.Request) -> web.StreamResponse:
                key = request.headers["Idempotency-Key"]
                if status.pop(0) == 500:
                    return web.json_response({}, status=400)
                if key not in taken:
                    taken.append(key)
                return web.json_response({"id": f"n{taken.index(key)}"})

            found.answer = answer
            with same_order("cycle 5"):
                with pytest.raises(InstrumentError):
                    await ordered(keyed(found))
                for _ in range(2):
                    order = await ordered(keyed(found))
                    assert (order.order_id, order.state) == ("n0", "pending")
            assert (len(taken), len(found.seen)) == (1, 2)
            eim = keyed(found)
            with same_order("cycle 6"):
                eim._book.begin(EID, "enable", {"iccid": ICCID})
                status += [200, 200]
                again = keyed(found)
                assert (await ordered(again)).order_id == "n1"
            assert (await ordered(again)).order_id == "n2"
            with same_order("cycle 7"):  # of a server that does not know an order again it is not sent
                eim._book.begin(EID, "enable", {"iccid": ICCID})
                with pytest.raises(Unsure, match=r"interrupted as it was sent: whether .* has taken it is not known"):
                    await ordered(found.eim())
            assert len(found.seen) == 4
            assert [entry.order_id for entry in keyed(found)._book.of(EID)] == ["n0", "n1", "n2", ""]

    asyncio.run(main())


def test_lost_order_without_a_key_is_told_and_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with side(tmp_path) as found:
            eim = found.eim()
            eim._book.begin(EID, "enable", {"iccid": ICCID})
            again = found.eim()
            orders = await again.orders(EID)
            assert [order.state for order in orders] == ["cancelled"]
            assert "whether the lab's own eIM has it is not known" in found.warnings[0]
            assert not found.seen
            assert [order.state for order in await found.eim().orders(EID)] == ["cancelled"]
            assert len(found.warnings) == 1

    asyncio.run(main())


def test_unknown_eid_and_forgotten_orders(tmp_path: Path) -> None:
    async def main() -> None:
        async with side(tmp_path) as found:
            eim = found.eim('[operations.euicc]\nmethod = "GET"\npath = "/d/{eid}"\nanswer = { known = "/known" }')
            found.answer = lambda request: web.json_response({}, status=404)
            with pytest.raises(InstrumentError, match=f"does not know EID {EID}"):
                await eim.register(EID)
            found.answer = lambda request: web.json_response({"known": "no"})
            with pytest.raises(InstrumentError, match="does not know EID"):
                await eim.register(EID)
            found.answer = lambda request: web.json_response({"known": True})
            await eim.register(EID)
            found.answer = lambda request: web.json_response({"id": 5})
            await ordered(eim)
            found.answer = lambda request: web.json_response({}, status=404)
            shown = await eim.show("5")
            assert (shown.state, shown.error["what"]) == ("unknown", "the eIM has no order 5")

    asyncio.run(main())


# --- TLS ------------------------------------------------------------------------------------------------------------


def server_context(folder: Path) -> tuple[ssl.SSLContext, Path, Path]:
    folder.mkdir()
    pem, key = certificate(folder)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pem, key)
    return made, pem, key


def test_ca_pin_and_client_certificate(tmp_path: Path) -> None:
    tls, pem, _ = server_context(tmp_path / "server")
    _, other, other_key = server_context(tmp_path / "other")
    tls.verify_mode = ssl.CERT_OPTIONAL
    tls.load_verify_locations(other)
    own = credentials.key_hash(ssl.PEM_cert_to_DER_cert(pem.read_text())).hex()
    foreign = credentials.key_hash(ssl.PEM_cert_to_DER_cert(other.read_text())).hex()
    good = [f'ca = "{pem}"', f'pin = "sha256:{own}"', f'ca = "{pem}"\npin = "sha256:{own}"']
    bad = [
        "", f'ca = "{other}"', f'pin = "sha256:{foreign}"', f'ca = "{pem}"\npin = "sha256:{foreign}"',
        f'ca = "{other}"\npin = "sha256:{own}"',
    ]  # fmt: skip

    async def main() -> None:
        async with side(tmp_path, tls) as found:
            for text in good:
                assert (await ordered(found.eim(text))).order_id == "7"
            assert len(found.seen) == len(good)
            for text in bad:
                with pytest.raises(InstrumentError, match="TLS failed") as caught:
                    await ordered(found.eim(text))
                assert "'ca' or 'pin'" in caught.value.hint or "'pin'" in caught.value.hint
            assert len(found.seen) == len(good)  # an impostor is sent nothing, no token either
            names: list[Any] = []

            def name(request: web.Request) -> web.StreamResponse:
                assert request.transport is not None
                names.append(request.transport.get_extra_info("peercert"))
                return web.json_response({"id": 1})

            found.answer = name
            client = f'ca = "{pem}"\nclient_certificate = "{other}"\nclient_key = "{other_key}"'
            await ordered(found.eim(client))
            assert names[0]["subject"][0][0][1] == "a lab's own servers"
            with pytest.raises(ConfigurationError, match="cannot be used"):
                await ordered(found.eim(client.replace(str(other_key), str(pem))))

    asyncio.run(main())


def test_token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = template.Server(url="https://x", token_file=str(tmp_path / "token"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        credentials.token(server)
    for content in (b"", b" \n", b"two\nlines-of-secret", "ümlaut-of-secret".encode(), b"\xff\xfe", b"x" * 20_000):
        (tmp_path / "token").write_bytes(content)
        with pytest.raises(ConfigurationError) as caught:
            credentials.token(server)
        assert "of-secret" not in str(caught.value)
    (tmp_path / "token").write_text("good\n")
    (tmp_path / "token").chmod(0o644)
    assert credentials.token(server) == "good"
    assert credentials.readable_by_others(server)
    (tmp_path / "token").chmod(0o600)
    assert not credentials.readable_by_others(server)
    monkeypatch.delenv("LAB_T", raising=False)
    with pytest.raises(ConfigurationError, match="there is no token"):
        credentials.token(template.Server(url="https://x", token_env="LAB_T"))


# --- answers and book -----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(JSON, st.sampled_from(["", "/a", "/a/b", "/0", "/items", "/items/0/x"]))
def test_any_answer_is_read_or_refused_with_words(document: Any, place: str) -> None:
    from dataclasses import replace

    from instruments.external import pointer

    made = template.read(Document(GOOD, "t.toml"), "eim", Path("/")).operations["show"]
    names = ("state", "verified", "profiles")
    answer = Answer(replace(made, answer=dict.fromkeys(names, pointer.parse(place))), document, "here")
    for ask in (
        lambda: answer.text("state"),
        lambda: answer.text("state", needed=True),
        lambda: answer.flag("verified"),
        lambda: [item.text("state") for item in answer.items("profiles")],
    ):
        try:
            found: Any = ask()
        except InstrumentError as error:
            assert error.hint
            continue
        assert found is None or isinstance(found, str | bool | list)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["begin", "number", "end"]), max_size=12), st.binary(max_size=40))
def test_book_keeps_everything_over_a_torn_end(steps: list[str], rest: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        book = Book(Path(name), "eim", "x")
        for number, step in enumerate(steps):
            entries = book.of(EID)
            if step == "begin" or not entries:
                book.begin(EID, "enable", {"iccid": str(number)})
            elif step == "number":
                entries[-1].order_id = f"n{number}"
                book.write(entries[-1])
            else:
                entries[0].state = "done"
                book.write(entries[0])
        if book.path.exists():
            with book.path.open("ab") as file:
                file.write(rest.replace(b"\n", b""))
        again = Book(Path(name), "eim", "x")
        assert again.of(EID) == book.of(EID)
        # What is written behind a torn line is not lost with it.
        entry, _ = again.begin(EID, "delete", {"iccid": "after"})
        assert Book(Path(name), "eim", "x").of(EID)[-1] == entry


def test_not_found_is_its_own_error(tmp_path: Path) -> None:
    async def main() -> None:
        async with side(tmp_path) as found:
            found.answer = lambda request: web.json_response({}, status=404)
            eim = found.eim()
            with pytest.raises(NotFound):
                await eim._rest.call("enable", {"eid": EID, "iccid": ICCID, "rollback": True})

    asyncio.run(main())
