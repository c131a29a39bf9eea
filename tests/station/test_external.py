"""[eim] and [smdpp] of the lab's own: what bench.toml may say, what a recipe may need, which lanes are missing then."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import ConfigurationError
from bench.station import config as configuration
from bench.station import external, routes
from bench.station.config import BenchConfig, EimConfig, SmdppConfig
from bench.station.interfaces import EIM_ABILITIES, SMDPP_ABILITIES, is_external, offers

GOOD = """[eim]
kind = "external"
adapter = "rest"
template = "eim-template.toml"
advertise = "eim.lab.example"
eim_id = "1.2.3"
reach = "192.0.2.1:8443"
reach_coaps = "192.0.2.1:5684"
ca = "ca.pem"
"""
TEMPLATE = (Path(__file__).parents[2] / "recipes" / "external_eim.toml").read_text()


def load(folder: Path, text: str) -> BenchConfig:
    (folder / "eim-template.toml").write_text(TEMPLATE)
    (folder / "ca.pem").write_text("")
    (folder / "bench.toml").write_text(text)
    return configuration.load(folder / "bench.toml", environment={"BENCH_HOME": str(folder / "home")})


def test_an_eim_of_the_lab(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD).eim
    assert found.external
    assert found.template == str(tmp_path / "eim-template.toml")  # seen from bench.toml
    told = external.announcement("eim", found)
    assert told == {
        "fqdn": "eim.lab.example",
        "eim_id": "1.2.3",
        "https": "https://192.0.2.1:8443",
        "coaps": "coaps://192.0.2.1:5684",
        "ca": str(tmp_path / "ca.pem"),
    }
    assert routes.names(told, None) == {"eim.lab.example": "192.0.2.1:8443"}
    assert routes.coaps(told) == {"eim.lab.example:5684": "192.0.2.1:5684"}
    without = EimConfig(kind="external", adapter="ask", advertise="eim.lab.example")
    assert external.announcement("eim", without) == {"fqdn": "eim.lab.example", "eim_id": "eim.lab.example"}
    assert routes.names(external.announcement("eim", without), None) == {}  # DNS leads there


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('kind = "external"', 'kind = "extern"', 2, "did you mean 'external'?"),
        ('kind = "external"\n', "", 2, "'adapter' is of the lab's own eIM"),
        ('adapter = "rest"', 'adapter = "rset"', 3, "did you mean 'rest'?"),
        ('adapter = "rest"\n', "", 1, "'adapter' is missing"),
        ('template = "eim-template.toml"\n', "", 1, "'template' is missing"),
        ('"eim-template.toml"', '"none.toml"', 4, "there is no file"),
        ('advertise = "eim.lab.example"\n', "", 1, "'advertise' is missing"),
        ('"192.0.2.1:8443"', '"192.0.2.1"', 7, "is no address"),
        ('"192.0.2.1:8443"', '"192.0.2.1:99999"', 7, "is no address"),
        ('ca = "ca.pem"', 'listen = "0.0.0.0"', 9, "'listen' is of the bundled eIM"),
        ('ca = "ca.pem"', 'token = "x"', 9, "unknown key 'token'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert words in str(caught.value)
    assert f"bench.toml:{line}: " in str(caught.value)


def test_the_bundled_ones_stay_as_they_were(tmp_path: Path) -> None:
    found = load(tmp_path, '[eim]\nlisten = "0.0.0.0"\n')
    assert not found.eim.external
    assert (found.eim.advertise, found.smdpp.advertise) == ("eim.bench.example", "smdpp.bench.example")
    external.refuse_unfit("r", ["eim", "eim:misbehaviour"], found.eim, found.smdpp, attended=False)
    assert external.lanes_missing(["eim", "smdpp"], found.eim, found.smdpp) == {}
    assert not is_external(object())
    assert all(offers(object(), word) for word in (*EIM_ABILITIES, *SMDPP_ABILITIES))


def test_recipes_that_need_more_are_refused(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)

    def refused(*needs: str) -> str:
        with pytest.raises(ConfigurationError) as caught:
            external.refuse_unfit("some-recipe", needs, found.eim, found.smdpp, attended=False)
        assert caught.value.exit_code == 2
        return str(caught.value)

    external.refuse_unfit(
        "r", ["eim", "eim:listProfileInfo", "smdpp:misbehaviour"], found.eim, found.smdpp, attended=False
    )
    external.refuse_unfit("r", ["eim:misbehaviour"], found.eim, found.smdpp, attended=False)  # it uses no eIM
    assert 'the bundled eIM does: [eim] kind = "bundled"' in refused("eim", "eim:misbehaviour")
    assert "add [operations.disable] to" in refused("eim", "eim:disable")
    (tmp_path / "eim-template.toml").write_text(TEMPLATE.replace("[operations.show]", "[operations.shows]"))
    assert "eim-template.toml:" in refused("eim")  # a template that is wrong is found before anything is touched


def test_a_person_is_needed_where_one_is_asked() -> None:
    eim = EimConfig(kind="external", adapter="ask", advertise="eim.lab.example", origin="bench.toml:1")
    external.refuse_unfit("r", ["eim"], eim, SmdppConfig(), attended=True)
    with pytest.raises(ConfigurationError, match="this run is unattended") as caught:
        external.refuse_unfit("r", ["eim"], eim, SmdppConfig(), attended=False)
    assert "--attended" in caught.value.hint
    external.refuse_unfit("r", ["power"], eim, SmdppConfig(), attended=False)


@pytest.mark.parametrize(
    ("needs", "own", "lanes"),
    [
        (("eim", "smdpp"), ("eim", "smdpp"), {"esipa", "es9plus", "es2plus"}),
        (("eim", "smdpp"), ("eim",), {"esipa"}),
        (("eim", "smdpp"), ("smdpp",), {"es2plus"}),
        (("eim", "smdpp", "eim:direct-download"), ("smdpp",), {"es2plus", "es9plus"}),
        (("smdpp",), ("smdpp",), {"es2plus", "es9plus"}),
        (("power",), ("eim", "smdpp"), set()),
    ],
)
def test_lanes_that_are_missing(needs: tuple[str, ...], own: tuple[str, ...], lanes: set[str]) -> None:
    eim = EimConfig(kind="external" if "eim" in own else "bundled")
    smdpp = SmdppConfig(kind="external" if "smdpp" in own else "bundled")
    found = external.lanes_missing(needs, eim, smdpp)
    assert set(found) == lanes
    assert all("the lab's own" in why for why in found.values())


def test_adapters_are_entry_points() -> None:
    assert external.adapters() == ["ask", "rest"]
    for name in external.adapters():
        assert external.adapter(EimConfig(kind="external", adapter=name)).asks is (name == "ask")
    with pytest.raises(ConfigurationError, match="no adapter 'soap'"):
        external.adapter(EimConfig(kind="external", adapter="soap"))
