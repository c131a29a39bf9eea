"""Recipes: the decorator, what it declares, and finding one by name or file (DESIGN.md section 5).

A recipe is a coroutine function whose first argument is the station. Its other arguments are its parameters, one by
one or in groups (``bench.engine.recipe_parameters``): one declaration gives command line, form, validation and
documentation.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, ParamSpec

from bench.engine.parameters import FROM_RAT, Bound, Choices, Parameter, Range, Unit, bind
from bench.engine.recipe_parameters import Signature, read
from bench.engine.station import Station
from bench.errors import ConfigurationError
from bench.station.interfaces import EIM_ABILITIES, SMDPP_ABILITIES

if TYPE_CHECKING:
    from bench.station.config import StationConfig

__all__ = ["FROM_RAT", "Choices", "Range", "Recipe", "Station", "Unit", "installed", "load", "recipe"]

P = ParamSpec("P")
NeedsOf = Callable[["StationConfig"], Sequence[str]]
"""What a recipe needs of a station, for one that takes what there is."""

NEEDS: Final = (
    "power", "modem", "network", "card", "reader", "switch", "data", "eim", "smdpp", "ipa", "radio", "person",
    "console", "reset", "flash", "device-ipa",
    *(f"eim:{word}" for word in EIM_ABILITIES), *(f"smdpp:{word}" for word in SMDPP_ABILITIES),
)  # fmt: skip
"""What a recipe may need; ``radio``: a data path that is the device's own, ``person``: somebody who can answer,
``device-ipa``: the device's own firmware polls; ``eim:WORD``, ``smdpp:WORD``: what the bundled servers can do and the
lab's own may not (``EIM_ABILITIES``)."""
EFFECTS: Final = (
    "switches-profile",
    "deletes-profile",
    "removes-eim",
    "resets-memory",
    "cuts-power-during-write",
    "consumes-profile",
    "flashes",
)
"""What cannot be undone: only on a station marked ``expendable``, or with the card's EID given by the person."""
_BUILT_IN: Final = {"record": "bench.engine.recording:record", "listen": "bench.engine.recording:listen"}
"""Those of commands of their own."""
TEARDOWN_WITHIN: Final = 10.0
"""Real seconds that teardown may take when the recipe does not say."""


class Recipe(Generic[P]):
    """A recipe. Called as its function it can be a part of another recipe."""

    def __init__(
        self,
        function: Callable[Concatenate[Station, P], Coroutine[Any, Any, None]],
        *,
        title: str,
        needs: Sequence[str] | NeedsOf,
        effects: Sequence[str],
        teardown_within: float,
        by_device: Sequence[str] = (),
        until_stopped: bool = False,
    ) -> None:
        self.function = function
        self.title = title
        self._needs_of = needs if callable(needs) else None
        self.needs = () if callable(needs) else tuple(needs)
        self.until_stopped = until_stopped
        """A stop is its ordinary end: it is told (``Station.stopping``), not cancelled."""
        self.by_device = tuple(by_device)
        self.effects = tuple(effects)
        self.teardown_within = teardown_within
        self.teardown_function: Callable[[Station], Awaitable[None]] | None = None
        functools.update_wrapper(self, function)
        self._check_declaration()

    def __call__(self, station: Station, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, None]:
        """Run it, also as a part of another recipe: parameters as given, not checked again.

        Parameters of a group are given one by one or as the group.
        """
        if not self.signature.groups:
            return self.function(station, *args, **kwargs)
        names = list(inspect.signature(self.function).parameters)[1:]
        function: Callable[..., Coroutine[Any, Any, None]] = self.function
        return function(station, **self.signature.arguments({**dict(zip(names, args, strict=False)), **kwargs}))

    def teardown(self, function: Callable[[Station], Awaitable[None]]) -> Callable[[Station], Awaitable[None]]:
        """Register what runs after the recipe, whatever happened, also when opening the station failed.

        Instruments that were not opened raise Refused when they are used. The station is made safe after it.
        """
        self.teardown_function = function
        return function

    @property
    def name(self) -> str:
        """The function's name with hyphens."""
        return self.function.__name__.replace("_", "-")

    @property
    def documentation(self) -> str:
        """The function's docstring."""
        return inspect.getdoc(self.function) or ""

    @property
    def where(self) -> str:
        """File and line of the function."""
        code = self.function.__code__
        return f"{code.co_filename}:{code.co_firstlineno}"

    @functools.cached_property
    def source_file(self) -> Path:
        """The file the function is in."""
        return Path(self.function.__code__.co_filename)

    @functools.cached_property
    def signature(self) -> Signature:
        """Its parameters and their groups. Raises ConfigurationError for what cannot be understood."""
        return read(self.function, self.where)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The declared parameters, those of groups too. Raises ConfigurationError as ``signature``."""
        return self.signature.parameters

    def needs_on(self, station: StationConfig) -> tuple[str, ...]:
        """Return what it needs on a station: ``by_device``, if declared, where the device's own firmware polls.

        What it needs of the servers it needs everywhere.
        """
        if self._needs_of is not None:
            return tuple(self._needs_of(station))
        if not self.by_device or station.ipa != "device":
            return self.needs
        return (*self.by_device, *(need for need in self.needs if ":" in need))

    def bind(self, given: Mapping[str, object] | Sequence[str]) -> Bound:
        """Return the values of a run. Raises ConfigurationError that names everything that is wrong."""
        where = f"recipe {self.name}"
        bound = bind(self.parameters, given, where=where)
        for group in self.signature.groups:
            try:
                group.made(bound.values)
            except Exception as error:  # of the dataclass's own checks
                what = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
                raise ConfigurationError(
                    f"{what} ({', '.join(group.fields)})", where=where, hint=_explained(self.name)
                ) from error
        return bound

    def _check_declaration(self) -> None:
        if not inspect.iscoroutinefunction(self.function):
            raise ConfigurationError(
                f"recipe '{self.function.__name__}' is no coroutine function", where=self.where, hint="write async def"
            )
        needs = (*self.needs, *self.by_device)
        for kind, given, known in (("need", needs, NEEDS), ("effect", self.effects, EFFECTS)):
            for word in given:
                if word not in known:
                    near = difflib.get_close_matches(word, known, n=1)
                    raise ConfigurationError(
                        f"recipe '{self.function.__name__}' declares the unknown {kind} '{word}'",
                        where=self.where,
                        hint=f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}",
                    )


def _explained(name: str) -> str:
    return f"bench recipes {name} explains them"


def recipe(
    *,
    title: str,
    needs: Sequence[str] | NeedsOf = (),
    effects: Sequence[str] = (),
    teardown_within: float = TEARDOWN_WITHIN,
    by_device: Sequence[str] = (),
    until_stopped: bool = False,
) -> Callable[[Callable[Concatenate[Station, P], Coroutine[Any, Any, None]]], Recipe[P]]:
    """Declare a recipe.

    ``needs``: parts of the station and services it uses (``NEEDS``), or what tells them of a station; checked before
    anything is touched. ``effects``: what it does that cannot be undone (``EFFECTS``). ``teardown_within``: real
    seconds that its ``finally`` blocks and its teardown together may take. ``by_device``: what it needs instead of
    ``needs`` on a station whose device polls by itself (``ipa = "device"``), for a recipe that asks neither modem nor
    card there. ``until_stopped``: a stop is its ordinary end. Raises ConfigurationError for unknown words.
    """

    def made(function: Callable[Concatenate[Station, P], Coroutine[Any, Any, None]]) -> Recipe[P]:
        return Recipe(
            function,
            title=title,
            needs=needs,
            effects=effects,
            teardown_within=teardown_within,
            by_device=by_device,
            until_stopped=until_stopped,
        )

    return made


# --- finding --------------------------------------------------------------------------------------------------------


def installed() -> Mapping[str, str]:
    """Return the recipes of all installed packages: name to ``module:function``, none imported."""
    from bench.station.entrypoints import entry_points_of

    return entry_points_of("bench.recipes")


def load(reference: str) -> Recipe[...]:
    """Return the recipe that a name, ``file.py`` or ``file.py:function`` names.

    Raises ConfigurationError: unknown name with a did-you-mean, file with the line that failed.
    """
    path, _, function = reference.rpartition(":")
    if path.endswith(".py") and function.replace("_", "a").isidentifier():
        return _of_file(Path(path), function)
    if reference.endswith(".py"):
        return _of_file(Path(reference), "")
    known = installed()
    target = _BUILT_IN.get(reference) or known.get(reference)
    if target is None and path and function.isidentifier() and path.replace(".", "a").isidentifier():
        target = reference
    if target is None:
        near = difflib.get_close_matches(reference, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "bench recipes lists them; a file is named file.py"
        raise ConfigurationError(f"there is no recipe '{reference}'", where="bench.recipes", hint=hint)
    module_name, _, attribute = target.partition(":")
    module = _imported(lambda: importlib.import_module(module_name), target)
    found = getattr(module, attribute, None)
    if isinstance(found, Recipe):
        return found
    raise ConfigurationError(f"recipe '{reference}' is not there", where=target, hint="is @recipe(...) missing?")


def _of_file(path: Path, function: str) -> Recipe[...]:
    if not path.is_file():
        raise ConfigurationError("there is no such file", where=str(path), hint="bench recipes lists those with a name")
    where = path.resolve()
    name = f"bench_recipe_file_{where.stem}"
    spec = importlib.util.spec_from_file_location(name, where)
    if spec is None or spec.loader is None:
        raise ConfigurationError("this is no Python file", where=str(path), hint="its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    folder = str(where.parent)
    if folder not in sys.path:
        sys.path.append(folder)  # helpers beside it; last, so that it hides nothing of the bench
    sys.modules[name] = module
    loader = spec.loader
    _imported(lambda: loader.exec_module(module), str(path))
    found = {key: value for key, value in vars(module).items() if isinstance(value, Recipe)}
    own = {key: value for key, value in found.items() if value.function.__module__ == name}
    if function:
        if function in found:
            return found[function]
        near = difflib.get_close_matches(function, found, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"it holds {', '.join(own) or 'no recipe'}"
        raise ConfigurationError(f"there is no recipe '{function}' in it", where=str(path), hint=hint)
    if len(own) == 1:
        return next(iter(own.values()))
    if not own:
        raise ConfigurationError("it holds no recipe", where=str(path), hint="decorate a function with @recipe(...)")
    raise ConfigurationError(
        f"it holds {len(own)} recipes: {', '.join(own)}", where=str(path), hint=f"write {path}:{next(iter(own))}"
    )


def _imported(action: Callable[[], ModuleType | None], target: str) -> ModuleType | None:
    """Run an import; whatever the file raises becomes a message with its own file and line."""
    try:
        return action()
    except ConfigurationError:
        raise
    except SyntaxError as error:
        raise ConfigurationError(
            f"{error.msg}: {(error.text or '').strip()}",
            where=f"{error.filename or target}:{error.lineno or 0}",
            hint="correct this line of the recipe",
        ) from error
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames and len(frames) > 1 else target
        raise ConfigurationError(
            f"the recipe cannot be loaded: {type(error).__name__}: {error}",
            where=where,
            hint="correct this line, or install what it imports",
        ) from error
