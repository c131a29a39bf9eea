"""Recipes as command line and TUI show them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """One parameter of a recipe."""

    name: str
    kind: str
    """``float``, ``int``, ``bool``, ``str`` ... as the recipe declares it."""
    unit: str
    default: object
    """The value, or the text ``from RAT``; ``...`` when it must be given."""
    lower: float | None
    upper: float | None
    choices: tuple[str, ...]

    def describe(self) -> str:
        """Return one line: kind, unit, range or choices, default."""
        raise NotImplementedError


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
    effects: tuple[str, ...]
    parameters: tuple[ParameterInfo, ...]


def recipes() -> list[tuple[str, str]]:
    """Return name and origin (``module:function``) of every installed recipe, importing none."""
    raise NotImplementedError


def recipe(reference: str) -> RecipeInfo:
    """Load a recipe by name, ``file.py`` or ``file.py:function`` and describe it. Raises ConfigurationError."""
    raise NotImplementedError
