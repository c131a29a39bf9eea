"""The parameters of a recipe as its signature declares them, one by one or in groups.

A group is an argument whose annotation is a frozen dataclass: its fields are ordinary parameters under their own names,
as if they stood in the signature, and the recipe is called with the group made of their values. A recipe's default for
the argument (``deadlines: Deadlines = Deadlines(switch_within=300.0)``) gives the fields their defaults.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.engine.parameters import Parameter, declared
from bench.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Group:
    """One argument that takes a group of parameters."""

    argument: str
    made_of: type[Any]
    """The frozen dataclass."""
    fields: tuple[str, ...]
    default: Any = None
    """The recipe's own default for it, None without one."""

    def made(self, values: Mapping[str, Any]) -> Any:
        """Return the group with these values; fields that are not given are as the recipe's default has them.

        Raises what the dataclass raises for values that do not fit together, TypeError for a field without a value.
        """
        given = {name: values[name] for name in self.fields if name in values}
        return self.made_of(**given) if self.default is None else dataclasses.replace(self.default, **given)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a recipe takes after the station."""

    parameters: tuple[Parameter, ...]
    """In the order of the signature, groups as their fields."""
    groups: tuple[Group, ...] = ()

    def arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call: what belongs to a group in its group, the rest as it is.

        A group may be given as such, under its argument's name. Raises what ``Group.made`` raises, TypeError for a
        field given beside its group.
        """
        found = dict(values)
        for group in self.groups:
            own = {name: found.pop(name) for name in group.fields if name in found}
            if group.argument not in found:
                found[group.argument] = group.made(own)
            elif own:
                raise TypeError(f"{', '.join(own)} and the group '{group.argument}' they belong to are both given")
        return found


def read(function: Callable[..., object], where: str) -> Signature:
    """Return what a recipe's function declares; ``where``: its file and line, for errors.

    Raises ConfigurationError for a declaration that cannot be understood, and for a name that is declared twice.
    """
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise ConfigurationError(
            f"its annotations cannot be read: {error}", where=where, hint="import what they name in the recipe's module"
        ) from error
    arguments = list(inspect.signature(function).parameters.values())
    if not arguments:
        raise ConfigurationError(
            "a recipe takes the station as its first argument",
            where=where,
            hint=f"async def {getattr(function, '__name__', 'recipe')}(station: Station, ...) -> None",
        )
    parameters: list[tuple[str, Parameter]] = []
    groups: list[Group] = []
    for argument in arguments[1:]:
        if argument.kind not in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY):
            raise ConfigurationError(
                f"parameter '{argument.name}' cannot be given by name", where=where, hint="no *args, **kwargs"
            )
        required = argument.default is argument.empty
        default = None if required else argument.default
        try:
            if argument.name not in hints:
                raise ValueError("it has no type")
            made_of = hints[argument.name]
            if dataclasses.is_dataclass(made_of) and isinstance(made_of, type):
                own = list(_fields(made_of, default))
                groups.append(Group(argument.name, made_of, tuple(item.name for item in own), default))
                parameters += [(f"group '{argument.name}' ({made_of.__name__})", item) for item in own]
            else:
                parameters.append(("an argument", declared(argument.name, made_of, default, required=required)))
        except ValueError as error:
            raise ConfigurationError(
                f"parameter '{argument.name}': {error}",
                where=where,
                hint="a parameter is a bool, int, float or str, a tuple of these, or a frozen dataclass of such",
            ) from error
    _each_once(parameters, groups, where)
    return Signature(tuple(parameter for _, parameter in parameters), tuple(groups))


def _fields(made_of: type[Any], default: object) -> Iterator[Parameter]:
    """Read the fields of a group. Raises ValueError in plain words."""
    if not made_of.__dataclass_params__.frozen:
        raise ValueError(f"{made_of.__name__} is not frozen: a group of parameters is a @dataclass(frozen=True)")
    if default is not None and not isinstance(default, made_of):
        raise ValueError(f"its default {default!r} is no {made_of.__name__}")
    fields = [field for field in dataclasses.fields(made_of) if field.init]
    if set(inspect.signature(made_of).parameters) != {field.name for field in fields}:
        raise ValueError(f"{made_of.__name__} takes other arguments than its fields (InitVar, a written __init__)")
    try:
        hints = typing.get_type_hints(made_of, include_extras=True)
    except Exception as error:
        raise ValueError(f"the annotations of {made_of.__name__} cannot be read: {error}") from error
    for field in fields:
        value, required = _default(field, default)
        try:
            yield declared(field.name, hints[field.name], value, required=required)
        except ValueError as error:
            raise ValueError(f"'{field.name}' of {made_of.__name__}: {error}") from None


def _default(field: dataclasses.Field[Any], default: object) -> tuple[Any, bool]:
    """Return the default of a field, and whether it has none."""
    if default is not None:
        return getattr(default, field.name), False
    if field.default is not dataclasses.MISSING:
        return field.default, False
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory(), False
    return None, True


def _each_once(parameters: Sequence[tuple[str, Parameter]], groups: Sequence[Group], where: str) -> None:
    """Require that every name means one thing: it is how people and run.json name a value."""
    found: dict[str, str] = {}
    for by, name in [*((by, item.name) for by, item in parameters), *(("a group", item.argument) for item in groups)]:
        if name in found:
            raise ConfigurationError(
                f"parameter '{name}' is declared twice: by {found[name]} and by {by}",
                where=where,
                hint="rename one of them, or leave it to the group",
            )
        found[name] = by
