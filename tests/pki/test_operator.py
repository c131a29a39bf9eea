"""The TLS credentials of operators that call ES2+."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.rsp import certs
from fixtures.pki import BRAINPOOL, Pki


def test_an_operator_is_issued_once_and_kept(tmp_path: Path) -> None:
    pki = Pki.open(tmp_path)
    made = pki.operator("acme", oid="2.999.31")
    assert certs.registered_id(made.certificate) == "2.999.31"
    assert Pki.open(tmp_path).operator("acme", oid="2.999.99").certificate == made.certificate
    assert pki.on(BRAINPOOL).operator("acme").certificate == made.certificate
    assert pki.operator().certificate != made.certificate
    chain, key = made.tls_files()
    assert key.stat().st_mode & 0o077 == 0
    for purpose in ("sslclient", "sslserver"):  # it calls ES2+, and is called with progress information
        done = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-CAfile", pki.ci_files, "-purpose", purpose, chain],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["", "../x", "a b", "a" * 65, ".hidden"])
def test_names_that_are_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(BenchError, match="no name of an operator"):
        Pki.open(tmp_path).operator(name)
