"""Whatever an operator sends as commands, and whatever an eUICC signs as results: an answer, never an exception."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.eim import commands
from fixtures.eim.context import Context
from fixtures.eim.outcomes import outcome, succeeded
from fixtures.eim.store import Store
from fixtures.pki import Pki
from fixtures.service import HttpRefusal

from .parties import EID, EIM_ID, ICCID, Lab, Package, down, parts, provide, tlv
from .test_fuzz import FUZZ, each, tree
from .test_wire import NO_PACKAGE

NAMES = [name for kind in commands._COMMANDS.values() for name in kind]
FIELDS = sorted({field for kind in commands._COMMANDS.values() for fields in kind.values() for field in fields})

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([ICCID, "00", "5A", EIM_ID]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), children, max_size=3),
    max_leaves=6,
)
GOOD = {
    **dict.fromkeys(("eimId", "fqdn", "address", "smdpAddress"), st.text(max_size=20) | st.just("\ud800")),
    **dict.fromkeys(("rollback", "flag", "newKey", "associationToken"), st.booleans()),
    "iccid": st.just(ICCID),
    "tags": st.lists(st.sampled_from(["5A", "9F70", "BF22"]), max_size=3),
    "smdpOid": st.sampled_from(["2.999.1", "1.3.6", "9.9", "x", "1", "2.999.-1"]),
    "counter": st.integers(0, 1 << 31),
    "data": st.binary(max_size=6).map(bytes.hex),
    "configuration": st.binary(max_size=6).map(lambda data: tlv("30", tlv("80", b"e"), data).hex()),
}


def _command(name: str, fields: list[str]) -> st.SearchStrategy[Any]:
    values = {field: GOOD.get(field, anything) for field in fields}
    required = {field: values.pop(field) for field in commands._REQUIRED.get(name, ())}
    if "eimId" in values:
        required["eimId"] = values.pop("eimId")
        required |= {"newKey": st.just(True)} if values.pop("newKey", None) is not None else {}
    return st.fixed_dictionaries(required, optional=values).map(lambda chosen: {name: chosen})


def commands_of(kind: commands.Kind) -> st.SearchStrategy[Any]:
    """Commands with the parameters they have, mostly of the right kind."""
    made = [_command(name, list(known)) for name, known in commands._COMMANDS[kind].items()]
    return st.lists(st.one_of(made), min_size=1, max_size=3)


odd = st.lists(st.dictionaries(st.sampled_from(NAMES), anything, max_size=2), max_size=2) | anything
given_lists = st.one_of(
    st.tuples(commands_of("psmo"), st.none()), st.tuples(st.none(), commands_of("eco")), st.tuples(odd, odd)
)


def test_any_commands_are_built_or_refused(pki: Pki, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "eim.sqlite")
    context = Context(store=store, eim_id=EIM_ID, fqdn=EIM_ID, key=pki.eim.key)
    built = set()

    @FUZZ
    @given(given_lists)
    def test(lists: tuple[Any, Any]) -> None:
        try:
            checked = commands.checked(*lists)
        except HttpRefusal as refusal:
            assert refusal.status == 400
            return
        kind, made = commands.build(context, commands.with_keys(context, checked))
        assert len(made) == len(commands.names_of(checked)) and kind in ("psmo", "eco")
        built.update(commands.names_of(checked))

    test()
    assert len(built) >= 10, built
    store.close()


@pytest.mark.parametrize("more", ["00", "3000"])
def test_a_configuration_is_one_tlv(more: str) -> None:
    with pytest.raises(HttpRefusal, match="EimConfigurationData"):
        commands.checked(None, [{"addEim": {"configuration": "3003800161" + more}}])


def test_any_signed_results_end_the_order(pki: Pki, tmp_path: Path) -> None:
    async def check(lab: Lab, content: bytes) -> None:
        order = lab.order("package", psmos=[{"getRAT": {}}, {"listProfileInfo": {}}])
        answer = await lab.poll()
        raw = down(answer, "BF4F")
        fields = parts(down(raw, "BF51", "30"))
        package = Package(raw, EIM_ID, int.from_bytes(fields["81"], "big"), fields["82"], b"")
        await lab.answer(provide(lab.card.result(package, content.hex())))
        shown = lab.show(order)
        assert shown["final"], (content.hex(), shown)
        if shown["state"] == "done":
            assert [item["name"] for item in shown["result"]["results"]] == ["getRAT", "listProfileInfo"]
        assert await lab.poll() == NO_PACKAGE

    each(pki, tmp_path, check, tree)


@FUZZ
@given(
    st.sampled_from([*NAMES, "rollback", "processingTerminated", "DF01"]),
    st.integers() | st.binary(max_size=5) | st.lists(st.dictionaries(st.sampled_from(["iccid", "eimId"]), st.binary())),
)
def test_any_result_has_a_name_and_a_code(name: str, value: Any) -> None:
    found = outcome(name, value)
    assert found["name"] == name and isinstance(found["code"], int) and isinstance(found["text"], str)
    assert succeeded(found) in (True, False)


def test_tlv_of_the_tests_is_der() -> None:
    assert tlv("30", b"\x01" * 200)[:3].hex() == "3081c8"
    assert EID.isdecimal()
