"""Stands in for openocd and its like: puts an image into the simulated device, by the world's control socket."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

control, image = sys.argv[1:]
version = Path(image).read_text()
if version == "broken":
    print("verification failed")
    sys.exit(4)
with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(5)
    connection.connect(control)
    connection.sendall(json.dumps({"op": "flash", "version": version}).encode() + b"\n")
    assert json.loads(connection.makefile().readline())["ok"]
