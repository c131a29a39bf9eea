"""The signature: what of a run shows the failure, and where a run leaves the field's course."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.reproduce.course import Call, Course, made_course, parting
from bench.reproduce.signature import Expected, Signature, like

CALLS = (
    Call("at:modem", "AT+CEREG?", "OK", True, "register"),
    Call("apdu:card", "LoadEuiccPackage", "enable ok - 9000 ok", True, "switch/poll"),
    Call("apdu:card", "GetEuiccInfo1", "6985 conditions not satisfied", False, "switch/poll"),
    Call("at:modem", "AT+CFUN=", "OK", True, "switch/refresh", "AT+CFUN=0 | OK"),
)
COURSE = Course("fail", failed_step="switch/poll", message="the card answers 6985", calls=CALLS)


def test_everything_that_is_named_must_be_seen() -> None:
    good = Signature("fail", "switch*", "6985", (Expected("Get*", "apdu:*", "6985*", "switch*"),))
    assert good.match(COURSE).shown
    for other, missing in (
        (Signature("inconclusive"), "verdict is fail"),
        (Signature("fail", "download*"), "first step that failed is switch/poll"),
        (Signature("fail", message="7000"), "it says"),
        (Signature("any", calls=(Expected("Get*", at_least=2),)), "seen 1 times"),
        (Signature("any", calls=(Expected("AT+CFUN=", at_most=0),)), "seen 1 times"),
        (Signature("any", calls=(Expected("AT+CFUN=", text="CFUN=1"),)), "saying CFUN=1"),
    ):
        match = other.match(COURSE)
        assert not match.shown
        assert missing in match.missing[0]


def test_order_counts_where_it_is_asked_for() -> None:
    first, second = Expected("LoadEuiccPackage"), Expected("AT+CFUN=")
    assert Signature("any", calls=(first, second), ordered=True).match(COURSE).shown
    assert not Signature("any", calls=(second, first), ordered=True).match(COURSE).shown
    assert Signature("any", calls=(second, first)).match(COURSE).shown
    assert Signature("any", calls=(first, Expected("Nothing*", at_most=0), second), ordered=True).match(COURSE).shown


@given(st.text(max_size=30))
def test_a_text_without_wildcards_fits_itself_only(text: str) -> None:
    if not set(text) & set("*?"):
        assert like(text, text)
        assert not like(text + "x", text)
    assert like(text, "*")


def test_brackets_are_no_pattern() -> None:
    assert like("a[0]", "a[0]")
    assert not like("a0", "a[0]")


def test_a_run_of_the_bench_that_failed_says_nothing() -> None:
    assert COURSE.usable
    assert not Course("inconclusive", "bench-error").usable
    assert not Course("inconclusive", "bench-error", "switch", "the runner was killed: ...").usable
    assert not Course("inconclusive", "aborted", "switch", "Ctrl-C").usable
    assert Course("inconclusive", "bench-error", "switch", "AT+CGLA: no answer").usable
    assert Course("fail", "bench-error").usable


def test_the_first_failed_step_is_the_innermost() -> None:
    steps = [
        {"path": path, "verdict": verdict, "message": path}
        for path, verdict in (("a", "pass"), ("b", "fail"), ("b/c", "fail"), ("d", "fail"))
    ]
    found = {
        "steps": steps, "errors": [{"what": "it broke"}], "device": "fail", "bench": "pass", "summary": "s",
        "verdict": "fail", "identities": {},
    }  # fmt: skip
    course = made_course(found, [], "folder")
    assert course.failed_step == "b/c"
    assert course.message == "b/c | it broke"


def test_where_a_run_leaves_the_field() -> None:
    assert parting(CALLS, CALLS) is None
    run = (*CALLS[:2], Call("apdu:card", "GetEuiccInfo1", "9000 ok", True, "switch/poll"), CALLS[3])
    found = parting(CALLS, run)
    assert found is not None
    assert found.step == "switch/poll"
    assert "6985" in found.text
    more = (*CALLS[:2], Call("at:modem", "AT+CNUM", "OK", True), *CALLS[2:])
    assert parting(CALLS, more) is None  # the bench looks more closely
    waiting = Call("at:modem", "AT+CPIN?", "no answer", False, "boot")
    until = (*(2 * (waiting,)), Call("at:modem", "AT+CPIN?", "READY", True, "boot"), *CALLS)
    assert parting(CALLS, until) is None  # a modem that starts is asked until it answers
    found = parting(CALLS, (*CALLS[:1], more[2], waiting, *CALLS[1:]))
    assert found is not None
    assert found.step == "boot"
    assert found.text.startswith("the field goes on with LoadEuiccPackage with enable ok")
    assert found.text.endswith("; here it is AT+CPIN? with no answer in boot")


@given(st.lists(st.sampled_from(CALLS), max_size=12), st.lists(st.sampled_from(CALLS), max_size=12))
def test_any_two_courses_are_compared(ours: list[Call], theirs: list[Call]) -> None:
    found = parting(ours, theirs)
    if [c.function for c in ours] == [c.function for c in theirs]:
        assert found is None
