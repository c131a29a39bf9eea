"""eIM: the eUICCs it serves, their orders, an order with its bytes decoded, a counter repaired. As ``bench eim`` says.

The operator's side is the command of the package that brings the eIM, started as a program: the controller itself knows
no server. What it prints with ``--json`` is shown.
"""

from __future__ import annotations

import shlex
import time
from typing import Any

from rich.style import Style
from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal

from bench.errors import BenchError
from bench.tui.keys import EIM
from bench.tui.screens.dialogs import Ask, Choose, Confirm, Interlock
from bench.tui.screens.eim_order import WORST, OrderForm, OrderKind, order_kinds
from bench.tui.screens.page import Page, bindings
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.row_list import Cell, Column, Row, RowList

EUICCS = (Column("EID", 32), Column("counter", 12, right=True), Column("open", 5, right=True, optional=44))
ORDERS = (
    Column("order", 5, right=True),
    Column("kind", 15, 1),
    Column("state", 12),
    Column("counter", 7, right=True),
    Column("ordered", 11, optional=58),
)
_STATES = {"done": "pass", "failed": "fail", "cancelled": "aborted", "expired": "aborted"}


class EimPage(Page):
    """eUICCs left, their orders right, the selected order below."""

    PAGE = EIM
    BINDINGS = bindings(EIM)
    AUTO_FOCUS = "#euiccs"

    def __init__(self) -> None:
        super().__init__()
        self.euiccs: list[dict[str, Any]] = []
        self.orders: list[dict[str, Any]] = []
        self.kinds: list[OrderKind] = []
        """What can be ordered; asked of the eIM once."""
        self.trouble = ""
        self._read_at = 0.0
        self._asking = False

    def body(self) -> ComposeResult:
        """Build the page."""
        with Horizontal(id="eim-top"):
            yield RowList(EUICCS, id="euiccs", classes="pane")
            yield RowList(ORDERS, id="orders", classes="pane")
        yield LineLog(id="order", classes="pane", cursor=True)

    def on_mount(self) -> None:
        """Ask the eIM."""
        log = self.query_one("#order", LineLog)
        log.following = False
        log.show(
            [("enter on an order shows its state, its result and its bytes decoded", self.bench.look.style("pending"))]
        )
        self.set_title(log, "Order")
        self.set_title(self.query_one("#euiccs"), "eUICCs: asking the eIM ...")
        self.set_title(self.query_one("#orders"), "Orders")
        self.ask()

    def filled(self) -> None:
        """Ask again every half minute while the page is seen: each question starts a program."""
        if self._read_at and time.monotonic() - self._read_at > 30.0:
            self.ask()

    @property
    def asked(self) -> bool:
        """Whether the eIM has answered, or the reason is known why not."""
        return self._read_at > 0.0

    def ask(self) -> None:
        """Ask the eIM in a thread."""
        if not self._asking:
            self._asking = True
            self._ask()

    @work(thread=True, group="eim", exit_on_error=False)
    def _ask(self) -> None:
        trouble, euiccs, orders = "", self.euiccs, self.orders
        try:
            euiccs = self.bench.control.eim("euiccs")
            orders = self.bench.control.eim("list")
        except BenchError as error:
            trouble = str(error)
        finally:
            self._asking = False
        self.app.call_from_thread(self._answered, euiccs, orders, trouble)

    def _answered(self, euiccs: list[dict[str, Any]], orders: list[dict[str, Any]], trouble: str) -> None:
        self._read_at = time.monotonic()
        self.euiccs, self.orders, self.trouble = euiccs, orders, trouble
        if trouble:
            self.bench.say(trouble)
        table = self.query_one("#euiccs", RowList)
        table.show(Row(str(each.get("eid", "")), self._euicc(each)) for each in euiccs)
        kind = self.overview.eim
        self.set_title(table, f"eUICCs ({len(euiccs)})", f"eIM: {kind}")
        self._orders()

    def _euicc(self, each: dict[str, Any]) -> list[Cell]:
        look = self.bench.look
        counter, confirmed = each.get("counter"), each.get("confirmed_counter")
        waiting = sum(order.get("eid") == each.get("eid") and not order.get("final") for order in self.orders)
        ahead = counter != confirmed
        told = f"{look.glyph('warning')} {confirmed}/{counter}" if ahead else str(counter)
        return [str(each.get("eid", "")), (told, look.style("warning" if ahead else "")), str(waiting)]

    def _orders(self) -> None:
        eid = self.query_one("#euiccs", RowList).selected
        look = self.bench.look
        mine = [order for order in self.orders if order.get("eid") == eid][::-1]
        rows = []
        for order in mine:
            state = _STATES.get(str(order.get("state")), "running")
            cells: list[Cell] = [
                str(order.get("order_id", "")),
                str(order.get("kind", "")),
                (look.said(state, str(order.get("state", ""))), look.style(state)),
                str(order["counter"]) if order.get("counter") is not None else look.glyph("none"),
                time.strftime("%m-%d %H:%M", time.localtime(float(order.get("created") or 0))),
            ]
            rows.append(Row(str(order.get("order_id", "")), cells))
        table = self.query_one("#orders", RowList)
        table.show(rows)
        self.set_title(table, f"Orders of ...{eid[-6:]} ({len(rows)})" if eid else "Orders", "newest first")

    def moved(self, view: Any) -> None:
        """Show the orders of the selected eUICC."""
        if view.id == "euiccs":
            self._orders()

    def opened(self, view: Any) -> None:
        """Show an order decoded; on an eUICC, go to its orders."""
        if view.id == "orders" and view.selected:
            self.bench.say(f"bench eim show {view.selected}")
            self._show(view.selected)
        elif view.id == "euiccs":
            self.query_one("#orders", RowList).focus()

    @work(thread=True, exclusive=True, group="order", exit_on_error=False)
    def _show(self, number: str) -> None:
        look = self.bench.look
        try:
            found = self.bench.control.eim("show", number)
            lines = order_lines(found, look)
        except BenchError as error:
            lines = [(look.text(str(error)), look.style("fail"))]
        self.app.call_from_thread(self._shown, number, lines)

    def _shown(self, number: str, lines: list[tuple[str, Style]]) -> None:
        log = self.query_one("#order", LineLog)
        log.cursor = 0
        log.show(lines)
        self.set_title(log, f"Order {number}")

    def note_on(self) -> str:
        """Notes here are on the eUICC."""
        return self.query_one("#euiccs", RowList).selected

    # --- orders -------------------------------------------------------------------------------------------------------

    def action_order(self) -> None:
        """Order something for an eUICC: what, with what, and a question."""
        if self.kinds:
            self._choose()
        else:
            self.bench.say("asking the eIM what can be ordered ...")
            self._ask_kinds()

    @work(thread=True, exclusive=True, group="kinds", exit_on_error=False)
    def _ask_kinds(self) -> None:
        kinds, told = [], "the eIM does not say what can be ordered: bench eim order --help"
        try:
            kinds = order_kinds(self.bench.control.eim("openapi"))
        except BenchError as error:
            told = str(error)
        self.app.call_from_thread(self._kinds_came, kinds, told)

    def _kinds_came(self, kinds: list[OrderKind], told: str) -> None:
        self.kinds = kinds
        if kinds:
            self._choose()
        else:
            self.bench.say(told)

    def _choose(self) -> None:
        eid = self.query_one("#euiccs", RowList).selected

        def given(kind: OrderKind, values: dict[str, str] | None) -> None:
            if values is not None:
                self._ask_order(kind, values["eid"], kind.words(values["eid"], values))

        def chosen(name: str | None) -> None:
            kind = next((each for each in self.kinds if each.name == name), None)
            if kind is not None:
                self.app.push_screen(OrderForm(kind, eid), lambda values: given(kind, values))

        whose = f"for ...{eid[-6:]}" if eid else "for an eUICC"
        self.app.push_screen(Choose(f"Order {whose}", [(kind.name, kind.line) for kind in self.kinds]), chosen)

    def _ask_order(self, kind: OrderKind, eid: str, words: list[str]) -> None:
        if all(each.get("eid") != eid for each in self.euiccs):
            words = [*words, "--register"]
        line = shlex.join(["bench", "eim", *words])
        open_ = sum(order.get("eid") == eid and not order.get("final") for order in self.orders)
        facts = [f"eUICC  {eid}", f"order  {kind.name}", f"open   {open_} before it, one at a time", "", line]
        facts.append("It goes out when the device asks next; until then it can be cancelled.")

        def answered(yes: bool | None) -> None:
            if yes:
                self.bench.say(line)
                self._operate(words)

        typed = eid[-6:] if kind.name in WORST else ""
        self.app.push_screen(Confirm("Order this?", facts, "Order", typed=typed), answered)

    def action_cancel_order(self) -> None:
        """Cancel the selected order, asked first."""
        number = self.query_one("#orders", RowList).selected
        order = next((each for each in self.orders if str(each.get("order_id")) == number), None)
        if order is None:
            self.bench.say("no order is selected")
            return
        state = str(order.get("state"))
        facts = [f"order  {number}: {order.get('kind')}", f"eUICC  {order.get('eid')}", f"state  {state}", ""]
        facts.append("What the eUICC has already is not undone.")
        locks = [Interlock(not order.get("final"), "it is not final", state, final=True)]

        def answered(yes: bool | None) -> None:
            if yes:
                self.bench.say(f"bench eim cancel {number}")
                self._operate(["cancel", number])

        self.app.push_screen(Confirm("Cancel the order?", facts, "Cancel it", interlocks=locks), answered)

    @work(thread=True, exclusive=True, group="operate", exit_on_error=False)
    def _operate(self, words: list[str]) -> None:
        try:
            made = self.bench.control.eim(*words)
            told = f"order {made['order_id']} ({made['kind']}): {made['state']}" if "order_id" in made else str(made)
        except BenchError as error:
            told = str(error)
        self.app.call_from_thread(self.bench.say, told)
        self.app.call_from_thread(self.ask)

    def action_repair(self) -> None:
        """Set the counter that the eIM keeps of an eUICC: its EID is typed first."""
        eid = self.query_one("#euiccs", RowList).selected
        each = next((one for one in self.euiccs if one.get("eid") == eid), None)
        if each is None or self.bench.readonly:
            self.bench.say("no eUICC is selected" if each is None else "this screen only looks (--readonly)")
            return
        counter = each.get("counter")

        def given(text: str | None) -> None:
            if not text:
                return
            if not text.isascii() or not text.isdecimal():
                self.bench.say(f"'{text}' is no counterValue")
                return
            facts = [f"eUICC   {eid}", f"counter {counter} becomes {text}", "owner   the eIM of this bench"]
            higher = Interlock(int(text) >= int(counter or 0), "not below what the eUICC may have seen", f"{counter}")

            def answered(yes: bool | None) -> None:
                if yes:
                    self._repair(eid, text)

            self.app.push_screen(
                Confirm("Repair the counter?", facts, "Repair", interlocks=[higher], typed=eid[-6:]), answered
            )

        told = "A package with a counterValue that is not above the eUICC's own is refused (SGP.32 section 2.11.1)."
        self.app.push_screen(Ask(f"counterValue of ...{eid[-6:]}", f"{told}\nThe eIM has {counter}."), given)

    @work(thread=True, exclusive=True, group="repair", exit_on_error=False)
    def _repair(self, eid: str, counter: str) -> None:
        told = f"bench eim euicc {eid} --counter {counter}"
        try:
            self.bench.control.eim("euicc", eid, "--counter", counter)
        except BenchError as error:
            told = str(error)
        self.app.call_from_thread(self.bench.say, told)
        self.app.call_from_thread(self.ask)


def order_lines(found: Any, look: Any) -> list[tuple[str, Style]]:
    """Return an order as lines; what it sent and got decoded with every field by name."""
    from bench.trace.fields import es10, esipa

    plain, head = Style(), look.style("heading")
    lines: list[tuple[str, Style]] = []

    def add(name: str, value: Any, depth: int) -> None:
        pad = "  " * depth
        if isinstance(value, dict):
            lines.append((look.text(f"{pad}{name}"), head if depth == 0 else plain))
            for key, item in value.items():
                add(str(key), item, depth + 1)
        elif isinstance(value, list) and value and isinstance(value[0], dict | list):
            lines.append((look.text(f"{pad}{name}"), head))
            for number, item in enumerate(value, 1):
                add(str(number), item, depth + 1)
        else:
            raw = _bytes(value)
            if raw is not None:
                lines.append((look.text(f"{pad}{name}: {len(raw)} bytes"), plain))
                answer = "result" in name or "answer" in name or "response" in name
                first = raw[:2] in (b"\xbf\x4f", b"\xbf\x50", b"\xbf\x51", b"\xbf\x52", b"\xbf\x54")
                tree = (esipa if first and raw[:2] != b"\xbf\x51" else es10)(raw, answer=answer)
                lines.extend((look.text(f"{pad}  {line}"), plain) for line in tree.lines())
            else:
                lines.append((look.text(f"{pad}{name}: {value}"), plain))

    if isinstance(found, dict):
        for key, value in found.items():
            add(str(key), value, 0)
    else:
        add("order", found, 0)
    return lines


def _bytes(value: Any) -> bytes | None:
    if not isinstance(value, str) or len(value) < 16 or len(value) % 2 or value.isdecimal():
        return None
    try:
        raw = bytes.fromhex(value)
    except ValueError:
        return None
    return raw if raw[:1] in (b"\xbf", b"\x30", b"\xa2", b"\xa3") else None
