"""Starting the bench's own processes quickly: posix_spawn, fixed descriptors, nothing imported from where we stand."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Mapping

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120 - start time


def python(code: str, *, bare: bool = False) -> list[str]:
    """Return the command of an interpreter that runs ``code``.

    ``-c`` saves what ``-m`` spends on runpy; ``-P`` keeps a ``json.py`` in the user's folder out of our imports.
    ``bare``: without site-packages (two thirds of an interpreter's start), for what needs the standard library only.
    """
    flags = ["-P", "-S"] if bare else ["-P"]
    return [sys.executable, *flags, "-c", f"import sys; sys.path.append({_ROOT!r}); {code}"]


def spawn(
    command: list[str],
    *,
    descriptors: Mapping[int, int],
    new_session: bool = False,
    new_group: bool = False,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Start a process and return its id. ``descriptors``: number there to number here; all others are closed there.

    Raises OSError.
    """
    # Duplicates above every target first: one dup2 must not overwrite the source of the next.
    copies = {there: fcntl.fcntl(here, fcntl.F_DUPFD_CLOEXEC, 64) for there, here in descriptors.items()}
    try:
        actions = [(os.POSIX_SPAWN_DUP2, copy, there) for there, copy in copies.items()]
        environment = os.environ if environment is None else environment
        if new_session:
            return os.posix_spawn(command[0], command, environment, file_actions=actions, setsid=True)
        if new_group:
            return os.posix_spawn(command[0], command, environment, file_actions=actions, setpgroup=0)
        return os.posix_spawn(command[0], command, environment, file_actions=actions)
    finally:
        for copy in copies.values():
            os.close(copy)
