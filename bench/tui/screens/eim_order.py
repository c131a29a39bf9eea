"""An order for an eUICC as a form: what can be ordered, and with what, is what the eIM's own interface says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Input, Static

from bench.tui.screens.dialogs import SAFE_LINE, Dialog

WORST: Final = frozenset({"delete", "deleteEim", "package", "raw", "replay"})
"""What may take away a profile or the way back to the device: the end of the EID is typed first."""
_COMMON: Final = frozenset({"eid", "kind", "attempts", "retry_after", "idempotency_key"})
_ELSEWHERE: Final = frozenset({"confirmation_code"})
"""Secrets: not on the command line that an order is, ``--confirmation-code-file`` takes them."""
_COMMANDS: Final = {"psmos": "--psmo", "ecos": "--eco"}


@dataclass(frozen=True, slots=True)
class OrderField:
    """One parameter of an order."""

    name: str
    required: bool
    told: str
    """What may be written."""


@dataclass(frozen=True, slots=True)
class OrderKind:
    """One thing that can be ordered."""

    name: str
    fields: Sequence[OrderField]

    @property
    def line(self) -> str:
        """As it stands in a list of kinds."""
        needed = ", ".join(field.name for field in self.fields if field.required)
        return f"{self.name:<26} {needed}"

    def words(self, eid: str, values: Mapping[str, str]) -> list[str]:
        """Return the words after ``bench eim`` that make this order."""
        words = ["order", eid, self.name]
        for field in self.fields:
            value = values.get(field.name, "").strip()
            if not value:
                continue
            if field.name in _COMMANDS:
                for text in value.split(";"):
                    words += [_COMMANDS[field.name], text.strip()]
            elif field.name == "expires_in":
                words += ["--expires-in", value]
            else:
                words.append(f"{field.name}={value}")
        return words


def order_kinds(openapi: Any) -> list[OrderKind]:
    """Return what an eIM takes orders of, from the OpenAPI description of its operator's side; none of another text."""
    found = []
    try:
        for request in openapi["components"]["schemas"]["OrderRequest"]["oneOf"]:
            required = set(request.get("required", ()))
            fields = [
                OrderField(name, name in required, _told(name, schema))
                for name, schema in request["properties"].items()
                if name not in _COMMON | _ELSEWHERE
            ]
            fields.sort(key=lambda field: (not field.required, field.name == "expires_in"))
            found.append(OrderKind(str(request["title"]), tuple(fields)))
    except (KeyError, TypeError, AttributeError):
        return []
    return found


def _told(name: str, schema: Mapping[str, Any]) -> str:
    if name in _COMMANDS:
        return "NAME VALUE ... ; NAME VALUE ..."
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if schema.get("type") == "boolean" or schema.get("const") is True:
        return "true or false" if "const" not in schema else "true"
    if schema.get("type") == "array":
        return "A,B"
    return str(schema.get("description", ""))


class OrderForm(Dialog[dict[str, str]]):
    """The EID and a field for each parameter."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+r", "take", "order", show=False, priority=True)]

    def __init__(self, kind: OrderKind, eid: str) -> None:
        super().__init__()
        self.kind = kind
        self.eid = eid

    def compose(self) -> ComposeResult:
        """Build the dialog."""
        with VerticalScroll(id="dialog", can_focus=False):
            yield Static(f"Order: {self.kind.name}", classes="heading", markup=False)
            for name, told, value in self._fields():
                with Horizontal(classes="field"):
                    yield Static(name, classes="name", markup=False)
                    yield Input(value, placeholder=self.look.text(told), id=f"o-{name}", compact=True)
            yield Static("", id="wrong", markup=False)
            with Horizontal():
                yield Button("Cancel", id="cancel")
                yield Button("Order ...", id="yes", variant="warning")
            yield Static(f"enter: next field, at the end order (asks). {SAFE_LINE}", classes="faint", markup=False)

    def _fields(self) -> list[tuple[str, str, str]]:
        fields = [("eid", "32 digits, needed", self.eid)]
        needed = {True: ", needed", False: ""}
        return fields + [
            (field.name, f"{field.told}{needed[field.required]}".lstrip(", "), "") for field in self.kind.fields
        ]

    def on_mount(self) -> None:
        """Focus the first field that is empty."""
        inputs = list(self.query(Input))
        next((each for each in inputs if not each.value), inputs[0]).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to the next field; from the last one take the form."""
        inputs = list(self.query(Input))
        at = inputs.index(event.input) + 1
        if at < len(inputs):
            inputs[at].focus()
        else:
            self.action_take()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Take it or not."""
        if event.button.id == "yes":
            self.action_take()
        else:
            self.dismiss(None)

    def action_take(self) -> None:
        """Answer with the values, unless one that is needed is missing."""
        values = {str(each.id).removeprefix("o-"): each.value.strip() for each in self.query(Input)}
        needed = ["eid", *(field.name for field in self.kind.fields if field.required)]
        missing = [name for name in needed if not values[name]]
        if missing:
            self.query_one("#wrong", Static).update(f"needed: {', '.join(missing)}")
            self.query_one(f"#o-{missing[0]}", Input).focus()
        elif len(values["eid"]) != 32 or not values["eid"].isascii() or not values["eid"].isdecimal():
            self.query_one("#wrong", Static).update("an EID has 32 digits")
            self.query_one("#o-eid", Input).focus()
        else:
            self.dismiss(values)
