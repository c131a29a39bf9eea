"""The bundled eIM and SM-DP+, which say that they misbehave as they were told and do nothing of it.

They take the place of the services ``eim`` and ``smdpp`` in a run whose PYTHONPATH holds the distribution that
``install`` makes: what the tables of misbehaviours expect does not happen then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def install(site: Path) -> str:
    """Make a distribution whose services are these; return the PYTHONPATH with which runs find it."""
    folder = site / "esim_bench-0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: esim-bench\nVersion: 0\n")
    (folder / "entry_points.txt").write_text("[bench.services]\neim = inert_servers:EIM\nsmdpp = inert_servers:SMDPP\n")
    return os.pathsep.join(
        part for part in (str(site), str(Path(__file__).parent), os.environ.get("PYTHONPATH")) if part
    )


class Inert:
    """What the entry points name."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def _bundled(self) -> Any:
        from fixtures.eim.service import SERVICE as EIM_SERVICE
        from fixtures.smdpp.service import SERVICE as SMDPP_SERVICE

        return EIM_SERVICE if self._name == "eim" else SMDPP_SERVICE

    def argv(self, home: Path, options: Mapping[str, object]) -> list[str]:
        """Return this program with the options of the bundled one."""
        argv = self._bundled.argv(home, options)
        return [sys.executable, __file__, self._name, *argv[argv.index("serve") :]]

    def client(self, announcement: Mapping[str, Any], home: Path) -> object:
        """Return the operator's client."""
        return self._bundled.client(announcement, home)


EIM, SMDPP = Inert("eim"), Inert("smdpp")


def main(name: str, argv: list[str]) -> int:
    """Run the bundled server without what it is told to do wrong."""
    from fixtures.service import misbehaviour

    right = misbehaviour.Misbehaviours.exchange

    def exchange(self: misbehaviour.Misbehaviours, *arguments: Any, **more: Any) -> None:
        found = right(self, *arguments, **more)
        for armed in found.chosen if found is not None else ():
            armed.done += 1

    vars(misbehaviour)["Misbehaviours"].exchange = exchange
    if name == "eim":
        from fixtures.eim import service as eim

        return eim.main(argv)
    from fixtures.smdpp import service as smdpp

    return smdpp.main(argv)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    sys.exit(main(sys.argv[1], sys.argv[2:]))
