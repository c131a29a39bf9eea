"""Sampled volts and amperes: what is written comes back, torn or not, and the figures are right."""

from __future__ import annotations

import itertools
import json
import math
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.run import samples
from bench.run.samples import ROW, SampleWriter, read


def create(folder: Path, *, start: float = 100.0, name: str = "psu1", interval: float = 1.0) -> SampleWriter:
    return SampleWriter.create(
        folder,
        name,
        start=start,
        wall_ns=1_790_000_000_000_000_000,
        interval=interval,
        supply={"driver": "keysight-e36300", "identity": "Keysight/E36312A/MY1"},
        channel=2,
    )


def test_header_describes_the_file(tmp_path: Path) -> None:
    writer = create(tmp_path, name="psu 1/β")
    assert writer.append(101.0, 3.8, 0.25)
    writer.close()
    assert writer.path == tmp_path / "power-psu_1_.f32"
    # The bytes themselves: this is what other programs read.
    assert writer.path.read_bytes() == struct.pack("<3f", 1.0, 3.8, 0.25)
    header = json.loads((tmp_path / "power-psu_1_.json").read_text())
    assert [(column["name"], column["unit"]) for column in header["columns"]] == [
        ("dt", "s"),
        ("volts", "V"),
        ("amps", "A"),
    ]
    assert header["schema"] == 1
    assert header["format"] == "<f4"
    assert header["start"]["t"] == 100.0
    assert header["start"]["wall"] == "2026-09-21T14:13:20.000000Z"
    assert (header["channel"], header["interval"], header["supply"]["driver"]) == (2, 1.0, "keysight-e36300")
    assert [found.name for found in samples.read_all(tmp_path)] == ["psu 1/β"]


def test_one_write_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = create(tmp_path)
    written: list[int] = []
    real = os.write

    def counted(fd: int, data: bytes) -> int:
        written.append(len(data))
        return real(fd, data)

    monkeypatch.setattr(os, "write", counted)
    writer.extend((100.0 + n, 3.8, 0.1) for n in range(50))
    writer.extend(())
    assert written == [50 * ROW]
    assert writer.rows == 50


@given(st.lists(st.floats(0, 4000, allow_nan=False), min_size=1, max_size=200), st.floats(0, 1e7))
def test_times_stay_true_however_irregular(
    tmp_path_factory: pytest.TempPathFactory, steps: list[float], start: float
) -> None:
    writer = create(tmp_path_factory.mktemp("s"), start=start)
    times = list(itertools.accumulate(steps, initial=start))[1:]
    for t in times:
        writer.append(t, 3.8, 0.1)
    writer.close()
    back = read(writer.path).times
    for wanted, found, step in zip(times, back, itertools.accumulate(steps, max), strict=True):
        # Half a unit in the last place of one float32 step, never the sum of all of them; and float64's own grain.
        assert abs(wanted - found) <= step * 2**-24 + 1e-8


def test_time_stays_true_over_a_week_of_samples(tmp_path: Path) -> None:
    writer = create(tmp_path, start=0.0)
    times = [n * 0.1 for n in range(1, 200_001)]  # 0.1 is no binary number: every row rounds
    writer.extend((t, 3.8, 0.1) for t in times)
    writer.close()
    assert abs(read(writer.path).times[-1] - times[-1]) < 1e-8


@given(st.binary(max_size=200))
def test_any_bytes_are_read_as_far_as_they_go(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("s")
    (folder / "power-x.f32").write_bytes(data)
    found = read(folder / "power-x.f32")
    assert len(found.times) == len(found.volts) == len(found.amps) == len(data) // ROW
    assert found.torn == len(data) % ROW
    assert all(later >= earlier for earlier, later in itertools.pairwise(found.times))
    json.dumps(found.statistics().as_dict(), allow_nan=False)
    json.dumps(samples.summary(folder), allow_nan=False)


header_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["t", "name", "x"]), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["schema", "name", "format", "columns", "start", "interval", "channel"]), header_values
    )
)
def test_any_header_is_survived(tmp_path_factory: pytest.TempPathFactory, header: dict[str, Any]) -> None:
    folder = tmp_path_factory.mktemp("s")
    (folder / "power-x.f32").write_bytes(struct.pack("<3f", 1.0, 3.8, 0.25))
    (folder / "power-x.json").write_text(json.dumps(header))
    found = read(folder / "power-x.f32")
    assert found.unread or list(found.amps) == [0.25]
    assert math.isfinite(found.interval)


def test_a_torn_row_is_left_out_told_and_written_over(tmp_path: Path) -> None:
    writer = create(tmp_path)
    writer.extend([(101.0, 3.8, 0.1), (102.0, 3.7, 0.2)])
    writer.close()
    with writer.path.open("ab") as file:
        file.write(b"\x00\x01\x02\x03\x04")
    torn = read(writer.path)
    assert (len(torn.times), torn.torn) == (2, 5)
    again = SampleWriter.resume(writer.path)
    again.append(104.5, 3.6, 0.3)
    again.close()
    assert [round(t, 6) for t in read(writer.path).times] == [101.0, 102.0, 104.5]
    (tmp_path / "power-psu1.json").unlink()
    with pytest.raises(BenchError, match="no header"):
        SampleWriter.resume(writer.path)
    assert [round(t, 6) for t in read(writer.path).times] == [1.0, 2.0, 4.5]  # without a header from 0


def test_a_format_of_tomorrow_is_refused_not_misread(tmp_path: Path) -> None:
    writer = create(tmp_path)
    writer.append(101.0, 3.8, 0.1)
    header = json.loads((tmp_path / "power-psu1.json").read_text())
    (tmp_path / "power-psu1.json").write_text(json.dumps({**header, "schema": 2, "format": "<f8"}))
    found = read(writer.path)
    assert "schema 2" in found.unread
    assert not found.times


def test_energy_and_charge_are_those_of_the_trapezoids(tmp_path: Path) -> None:
    writer = create(tmp_path, start=0.0)
    # 4 V; the current rises from 0 to 2 A in 2 s, stays for 1 s: charge 2 + 2 C, energy 4 times that.
    writer.extend([(0.0, 4.0, 0.0), (2.0, 4.0, 2.0), (3.0, 4.0, 2.0)])
    writer.close()
    found = read(writer.path).statistics()
    assert found.charge == pytest.approx(4.0)
    assert found.energy == pytest.approx(16.0)
    assert found.energy_mwh == pytest.approx(16.0 / 3.6)
    assert found.amps_mean == pytest.approx(4.0 / 3.0)  # over time: the mean of the samples would be the same here
    assert (found.amps_min, found.amps_max, found.amps_max_at) == (0.0, 2.0, 2.0)
    assert (found.volts_min, found.volts_max) == (4.0, 4.0)
    assert found.volts_mean == pytest.approx(4.0)
    assert (found.samples, found.covered, found.longest) == (3, 3.0, 2.0)


def test_mean_is_over_time_not_over_samples(tmp_path: Path) -> None:
    writer = create(tmp_path, start=0.0)
    writer.extend([(0.0, 4.0, 1.0), (0.01, 4.0, 1.0), (0.02, 4.0, 1.0), (0.03, 4.0, 0.0), (10.03, 4.0, 0.0)])
    mean = read(writer.path).statistics().amps_mean
    assert mean is not None
    assert mean < 0.01  # of the samples it would be 0.6


def test_nothing_is_integrated_across_a_gap_or_while_off(tmp_path: Path) -> None:
    writer = create(tmp_path, start=0.0)
    writer.extend([(0.0, 4.0, 1.0), (1.0, 4.0, 1.0)])
    writer.gap(2.0)
    writer.extend([(9.0, 4.0, 1.0), (10.0, 4.0, 1.0)])
    writer.off(11.0)
    writer.extend([(16.0, 4.0, 1.0)])
    writer.close()
    found = read(writer.path)
    figures = found.statistics()
    assert figures.energy == pytest.approx(8.0)
    assert (figures.covered, figures.gaps, figures.off, figures.samples) == (2.0, 1, 5.0, 5)
    assert list(found.segments()) == [(0, 1), (3, 4), (6, 6)]


values = st.tuples(st.floats(0.001, 5), st.floats(0, 20, width=32), st.floats(0, 3, width=32), st.integers(0, 9))


@given(st.lists(values, min_size=2, max_size=40), st.lists(st.floats(0, 1), max_size=5))
def test_parts_add_up_to_the_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, float, float, int]], cuts: list[float]
) -> None:
    writer = create(tmp_path_factory.mktemp("s"), start=0.0)
    t = 0.0
    for step, volts, amps, kind in rows:
        t += step
        if kind == 0:
            writer.gap(t)
        elif kind == 1:
            writer.off(t)
        else:
            writer.append(t, volts, amps)
    writer.close()
    found = read(writer.path)
    edges = [-math.inf, *sorted(cut * t for cut in cuts), math.inf]
    parts = [found.statistics(low, high) for low, high in itertools.pairwise(edges)]
    whole = found.statistics()
    assert math.isclose(sum(part.energy for part in parts), whole.energy, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(sum(part.charge for part in parts), whole.charge, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(sum(part.covered for part in parts), whole.covered, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(sum(part.off for part in parts), whole.off, rel_tol=1e-9, abs_tol=1e-9)


def test_what_float32_cannot_hold_is_a_gap_and_time_never_goes_back(tmp_path: Path) -> None:
    writer = create(tmp_path)
    writer.extend([(105.0, 1e300, 1.0), (104.0, 3.8, 0.5), (math.nan, 3.8, 0.5), (106.0, 3.8, math.inf)])
    writer.close()
    found = read(writer.path)
    assert list(found.times) == [105.0, 105.0, 105.0, 106.0]
    assert found.statistics().gaps == 2


def test_a_full_disk_leaves_whole_rows_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = create(tmp_path)
    assert writer.append(101.0, 3.8, 0.1)
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    assert not writer.append(102.0, 3.8, 0.1)
    monkeypatch.undo()
    assert writer.failure is not None
    assert not writer.append(103.0, 3.8, 0.1)
    assert writer.path.stat().st_size == ROW
    writer.close()
    writer.close()
    with pytest.raises(BenchError, match="cannot be written"):
        create(tmp_path / "nowhere")


def test_no_samples_no_summary(tmp_path: Path) -> None:
    assert samples.read_all(tmp_path) == []
    assert samples.summary(tmp_path / "not there") == {}
    create(tmp_path).close()
    found = samples.read_all(tmp_path)[0].statistics()
    assert (found.samples, found.energy, found.amps_mean) == (0, 0.0, None)
