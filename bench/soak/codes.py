"""The pool of activation codes: each is given out once, and what no cycle has begun with comes back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.engine.recipe import load
from bench.errors import BenchError, ConfigurationError
from bench.run import folder as places
from bench.run.reader import only
from bench.soak.cycles import CYCLE_START
from bench.soak.plan import Plan


def takes(recipe: str, parameter: str) -> bool:
    """Whether a recipe has the parameter."""
    return any(item.name == parameter for item in load(recipe).parameters)


def used_in(run: Path, plan: Plan) -> set[str]:
    """Return the codes with which cycles of a run have begun."""
    if plan.codes is None:
        return set()
    starts = (event["data"] for event in only(run / places.JOURNAL, CYCLE_START))
    found = (start.get("parameters", {}).get(plan.codes.parameter) for start in starts)
    return {str(code) for code in found if code}


@dataclass(frozen=True, slots=True)
class Pool:
    """The codes of a plan in their order."""

    codes: Sequence[str]
    where: str = ""

    @classmethod
    def of(cls, plan: Plan, folder: Path) -> Pool:
        """Read the pool of a plan, beside which its file is looked for. Raises ConfigurationError."""
        if plan.codes is None:
            return cls(())
        about = places.read_json(folder / "soak.json")
        file = Path(str(about.get("plan", ""))).parent / plan.codes.file
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"the activation codes cannot be read: {error}", where=plan.codes.origin, hint="one code a line"
            ) from error
        codes = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        for number, code in enumerate(codes, 1):
            if not code.upper().startswith(("LPA:1$", "1$")):
                raise ConfigurationError(
                    f"'{code[:40]}' is no activation code",
                    where=f"{file}: code {number}",
                    hint="LPA:1$address$matching-id (SGP.22 section 4.1)",
                )
        if len(set(codes)) < len(codes):
            raise ConfigurationError("a code stands in it twice", where=str(file), hint="each code is used once")
        return cls(tuple(codes), str(file))

    def take(self, given_out: Collection[str], count: int) -> list[str]:
        """Return the next codes that were not given out. Raises BenchError when none of those needed is left."""
        left = [code for code in self.codes if code not in given_out][:count]
        if count and not left:
            raise BenchError("every activation code is used", where=self.where, hint="add codes, then --resume")
        return left
