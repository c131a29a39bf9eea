"""Whether PC/SC can be tested here."""

from __future__ import annotations

import os
import shutil

import pytest


def need_pcsc() -> None:
    """Skip where PC/SC is not installed, with the words that a user would be told.

    In CI, which installs all of it, a daemon without its reader driver or its library is a failure.
    """
    from bench.errors import ConfigurationError
    from fixtures.sim.pcsc_daemon import programs
    from instruments.reader.pcsc_link import library

    try:
        programs()
        library()
    except ConfigurationError as error:
        if os.environ.get("CI") and shutil.which("pcscd") is not None:
            pytest.fail(f"pcscd is installed, and cannot be used: {error}")
        pytest.skip(str(error))
