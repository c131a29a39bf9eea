"""What installed packages and a source checkout declare in entry-point groups; nothing is imported to know it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path


@functools.cache
def entry_points_of(group: str) -> Mapping[str, str]:
    """Return name -> ``module:attribute`` of a group, nothing imported.

    A source checkout works without being installed, and with lines newer than its installation: what its
    pyproject.toml declares is added, where the same name is not declared by an installed package.
    """
    from importlib.metadata import entry_points

    found = {entry.name: entry.value for entry in entry_points(group=group)}
    checkout = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if checkout.is_file():
        import tomllib

        try:
            project = tomllib.loads(checkout.read_text(encoding="utf-8")).get("project", {})
        except (OSError, tomllib.TOMLDecodeError):
            project = {}
        if project.get("name") == "esim-bench":
            found = {**project.get("entry-points", {}).get(group, {}), **found}
    return found
