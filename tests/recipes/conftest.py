"""Makes the helper beside the tests importable: this folder is no package, for it has the name of one."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
