"""The card's options as the world's command line and bench.toml write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import ConfigurationError
from fixtures.pki import Pki
from fixtures.sim.euicc import EuiccOptions, Preloaded, VirtualEuicc, rules
from fixtures.sim.service import SERVICE, make_parser, world_options

from . import parties


def options(home: Path, **table: object) -> EuiccOptions:
    """What a card gets of a table of bench.toml, by way of the command line."""
    argv = SERVICE.argv(home, table)
    arguments = make_parser().parse_args(argv[argv.index("up") :])
    return EuiccOptions(**world_options(arguments).card_options)


def test_every_option(tmp_path: Path) -> None:
    found = options(
        tmp_path,
        card_mode="consumer",
        card_curves=["brainpoolP256r1", "P-256"],
        card_memory=20000,
        card_eims=2,
        card_results=5,
        card_rat="ppr1:00101,ppr2:*",
        card_forbidden_rules="ppr2",
        card_dp_address="dp.example",
        card_force={"psmo.enable": 127, "LoadCRL": 3},
        card_reading={"emergency_notifications": True, "after_failure": "processing-terminated"},
        card_without=["ecall", "eim-reset"],
    )
    assert found.mode == "consumer"
    assert found.curves == ("brainpoolP256r1", "P-256")
    assert (found.memory, found.eims, found.results) == (20000, 2, 5)
    assert found.rat == rules.table("ppr1:00101,ppr2:*")
    assert found.forbidden_rules == rules.PPR2
    assert found.default_dp_address == "dp.example"
    assert found.force == {"psmo.enable": 127, "LoadCRL": 3}
    assert found.interpretation.changed == {"emergency_notifications": True, "after_failure": "processing-terminated"}
    assert not found.ecall
    assert not found.eim_reset
    assert found.fallback


def test_none_is_the_default(tmp_path: Path) -> None:
    assert options(tmp_path) == EuiccOptions()
    assert options(tmp_path, card_curves="P-256,brainpoolP256r1").curves == ("P-256", "brainpoolP256r1")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"card_force": "psmo.enabel=1"}, "did you mean 'psmo"),
        ({"card_force": "psmo.enable"}, "not NAME=CODE"),
        ({"card_curves": "P-384"}, "no curve of RSP"),
        ({"card_rat": "ppr9:1"}, "is no rule"),
        ({"card_forbidden_rules": "ppr9"}, "no policy rules"),
        ({"card_memory": -1}, "too few"),
        ({"card_reading": "nothing=1"}, "no option"),
        ({"card_reading": "nothing"}, "not NAME=VALUE"),
    ],
)
def test_wrong_options_are_named_before_a_card_is_made(tmp_path: Path, table: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        options(tmp_path, **table)


def test_preloaded_profiles(tmp_path: Path, pki: Pki) -> None:
    path = tmp_path / "package.der"
    path.write_bytes(parties.numbered(1))
    kinds = {"test": 0, "provisioning": 1, "operational": 2, "emergency": 2, "fallback": 2}
    for kind, profile_class in kinds.items():
        preloaded = [Preloaded.read(f"{kind}:{path}")]
        card = VirtualEuicc.open(tmp_path / kind, pki=pki, eid=parties.EID, preloaded=preloaded)
        card.power_on()
        (profile,) = card.state().profiles
        assert (profile.profile_class, profile.enabled) == (profile_class, False)
    with pytest.raises(ConfigurationError, match="no kind"):
        Preloaded.read(f"other:{path}")
    with pytest.raises(ConfigurationError, match="no package"):
        Preloaded.read("test:/nowhere.der")
