"""Recipes as command line and TUI show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.engine.parameters import Parameter


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """One parameter of a recipe."""

    name: str
    kind: str
    """``float``, ``int``, ``bool`` or ``str``, with ``[]`` for several."""
    unit: str
    default: object
    """The value, or the text ``from RAT``; ``...`` when it must be given."""
    lower: float | None
    upper: float | None
    choices: tuple[str, ...]
    description: str = ""

    def describe(self) -> str:
        """Return one line: kind, unit, range or choices, default."""
        return self.description


@dataclass(frozen=True, slots=True)
class RecipeInfo:
    """One recipe."""

    name: str
    title: str
    summary: str
    """First sentence of its documentation."""
    documentation: str
    source: str
    """``module:function`` or path of the file."""
    needs: tuple[str, ...]
    by_device: tuple[str, ...]
    """What it needs instead where the device's own firmware polls; empty when there is no other way."""
    effects: tuple[str, ...]
    parameters: tuple[ParameterInfo, ...]


def recipes() -> list[tuple[str, str]]:
    """Return name and origin (``module:function``) of every installed recipe, importing none."""
    from bench.engine.recipe import installed

    return sorted(installed().items())


def recipe(reference: str) -> RecipeInfo:
    """Load a recipe by name, ``file.py`` or ``file.py:function`` and describe it. Raises ConfigurationError."""
    from bench.engine.recipe import load

    found = load(reference)
    documentation = found.documentation
    return RecipeInfo(
        name=found.name,
        title=found.title,
        summary=documentation.partition("\n\n")[0].replace("\n", " "),
        documentation=documentation,
        source=found.where,
        needs=found.needs,
        by_device=found.by_device,
        effects=found.effects,
        parameters=tuple(_described(parameter) for parameter in found.parameters),
    )


def _described(parameter: Parameter) -> ParameterInfo:
    from bench.engine.parameters import FROM_RAT, FROM_RAT_TEXT

    default: object = FROM_RAT_TEXT if parameter.default is FROM_RAT else parameter.default
    return ParameterInfo(
        name=parameter.name,
        kind=parameter.kind.__name__ + ("[]" if parameter.many else ""),
        unit=parameter.unit,
        default="..." if parameter.required else default,
        lower=parameter.lower,
        upper=parameter.upper,
        choices=tuple(str(choice) for choice in parameter.choices),
        description=parameter.describe(),
    )
