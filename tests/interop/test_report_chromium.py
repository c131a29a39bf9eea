"""The report in a real browser: it asks for nothing, complains of nothing, and fits a telephone and a desk."""

from __future__ import annotations

import functools
import http.server
import json
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report.folders import run_folder
from report.long_run import make

from bench.report.html import write
from bench.run import folder as places
from bench.run.journal import Journal
from bench.trace.lane import Direction
from bench.trace.writer import TraceWriter

from .chromium import PROGRAM, Chromium

pytestmark = pytest.mark.skipif(not PROGRAM, reason="chromium is needed (apt-get install chromium)")

EVIL = (
    "</style></title></svg><script>window.hit=1</script><img src=http://203.0.113.9/x onerror=window.hit=1>"
    "<link rel=stylesheet href=http://203.0.113.9/c><a href=javascript:window.hit=1>x</a>"
    "\" onclick=window.hit=1 '\x1b[2J\u202e"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(run_folder(tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = run_folder(tmp_path_factory.mktemp("hostile"), recipe=EVIL, label=EVIL, station=EVIL, bearer=EVIL)
    journal = Journal.open(folder / places.JOURNAL, background=False)
    for kind in ("note", "error", "measurement", "identity", "result", "observation", "verdict", "lane-missing"):
        data = dict.fromkeys(
            ("text", "what", "where", "hint", "stack", "name", "value", "unit", "source", "lane"), EVIL
        )
        journal.write(kind, {**data, "upper": 1.0}, step="register")
    journal.write("step-start", {"title": EVIL}, step=EVIL.replace("/", ""))
    journal.close()
    trace = TraceWriter.open(folder / places.TRACE, run_id="r")
    for lane in ("console:app", "at:modem", "esipa", f"apdu:{EVIL}"):
        for direction in (Direction.SENT, Direction.RECEIVED):
            trace.lane(lane).record(direction, EVIL.encode("utf-8", "replace"))
    trace.close()
    (folder / "javascript:window.hit=1").write_text("x")
    return write(folder)


def opened(browser: Chromium, page: Path, **how: Any) -> None:
    browser.requests.clear()
    browser.complaints.clear()
    browser.open(page.as_uri(), **how)
    assert browser.requests == [page.as_uri()]
    assert browser.complaints == []


@pytest.mark.parametrize(("width", "phone", "dark"), [(390, True, False), (390, True, True), (1400, False, False)])
def test_it_fits_and_says_the_verdicts_first(
    browser: Chromium, failing: Path, width: int, phone: bool, dark: bool
) -> None:
    opened(browser, failing, width=width, phone=phone, dark=dark)
    assert browser.evaluate("document.documentElement.scrollWidth") == width  # nothing sticks out
    shown = browser.evaluate("document.body.innerText")
    first = [shown.index(words) for words in ("SIMULATED", "✘ fail", "✔ pass", "not registered within 20 s")]
    assert first == sorted(first)
    bottom = browser.evaluate("document.querySelector('.reason').getBoundingClientRect().bottom")
    assert bottom < 480  # without scrolling
    # Text that would be cut off: nothing is wider than its box.
    wide = "[...document.querySelectorAll('td,th,p,dd,li')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert browser.evaluate(wide) == 0
    across, down = png_size(browser.picture())
    assert (across, down > 900) == (width * (2 if phone else 1), True)


def test_what_came_from_outside_is_text_and_nothing_else(browser: Chromium, hostile: Path) -> None:
    opened(browser, hostile)
    assert browser.evaluate("window.hit") is None
    assert browser.evaluate("document.querySelectorAll('script,img,link,iframe,object,base,form').length") == 0
    attributes = "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).map(a => a.name)"
    names = set(browser.evaluate(attributes))
    assert not [name for name in names if name.startswith("on") or name in ("style", "srcdoc", "src")], names
    targets = browser.evaluate("[...document.querySelectorAll('a')].map(a => a.protocol)")
    assert set(targets) == {"file:"}
    shown = browser.evaluate("document.body.textContent")
    assert "<script>window.hit=1</script>" in shown and "\\x1b[2J\\u202e" in shown
    assert "\x1b" not in shown and "\u202e" not in shown
    browser.evaluate("[...document.querySelectorAll('a[href^=\"./javascript\"]')].forEach(a => a.href) || 1")


def test_the_policy_holds_by_itself(browser: Chromium, failing: Path, tmp_path: Path) -> None:
    """Should anything ever get through the escaping: it does not run and does not load."""
    page = tmp_path / "smuggled.html"
    smuggled = (
        "<script>window.hit=1</script><img src='http://127.0.0.1:9/x'><p style='color:red' id=p>x</p>"
        "<style>main{display:none}</style><iframe src='http://127.0.0.1:9/'></iframe>"
    )
    page.write_text(failing.read_text().replace("<main>", f"<main>{smuggled}"))
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(page.as_uri())
    assert browser.evaluate("window.hit") is None
    assert browser.evaluate("getComputedStyle(document.querySelector('#p')).color") != "rgb(255, 0, 0)"
    assert browser.evaluate("getComputedStyle(document.querySelector('main')).display") == "block"
    assert sum("Content Security Policy" in each for each in browser.complaints) >= 4, browser.complaints


def test_over_http_it_asks_for_itself_alone(browser: Chromium, failing: Path) -> None:
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    handler = functools.partial(Handler, directory=str(failing.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            browser.requests.clear()
            browser.open(f"http://127.0.0.1:{server.server_port}/report.html")
        finally:
            server.shutdown()
            thread.join(10)
    assert [path for path in asked if path != "/favicon.ico"] == ["/report.html"]  # what browsers ask of any site
    assert len(browser.requests) == 1


AUDIT = """(() => {
  const wrong = [];
  const levels = [...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1]);
  if (levels[0] !== 1 || levels.filter(l => l === 1).length !== 1) wrong.push('h1');
  levels.forEach((l, i) => { if (i && l > levels[i - 1] + 1) wrong.push('level ' + l); });
  for (const name of ['header', 'nav', 'main', 'footer'])
    if (document.querySelectorAll('body > ' + name).length !== 1) wrong.push(name);
  for (const table of document.querySelectorAll('table')) {
    if (!table.getAttribute('aria-label')) wrong.push('table without a name');
    if ([...table.querySelectorAll('thead th')].some(th => th.scope !== 'col')) wrong.push('th without scope');
  }
  for (const section of document.querySelectorAll('main > section'))
    if (!section.getAttribute('aria-label') || !section.id) wrong.push('section without a name');
  for (const svg of document.querySelectorAll('svg:not(svg svg)'))
    if (svg.getAttribute('aria-hidden') !== 'true')
      if (svg.getAttribute('role') !== 'img' || !svg.getAttribute('aria-label')) wrong.push('svg without words');
  for (const a of document.querySelectorAll('nav a'))
    if (!document.querySelector(a.getAttribute('href'))) wrong.push('dead link ' + a.getAttribute('href'));
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  if (new Set(ids).size !== ids.length) wrong.push('ids');
  if (document.documentElement.lang !== 'en' || !document.title) wrong.push('lang, title');
  return wrong;
})()"""

CONTRAST = """(() => {
  const rgb = text => text.match(/[0-9.]+/g).map(Number);
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  const found = {};
  for (const e of document.querySelectorAll('body *:not(svg, svg *)')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const pair = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) found[e.tagName + '.' + e.className] = ratio;
  }
  return found;
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_it_can_be_heard_and_read_by_everybody(browser: Chromium, failing: Path, hostile: Path, dark: bool) -> None:
    for page in (failing, hostile):
        opened(browser, page, dark=dark)
        assert browser.evaluate(AUDIT) == []
        assert browser.evaluate(CONTRAST) == {}  # WCAG 2.2, 1.4.3: 4.5 to 1
    tree = json.dumps(browser.ask("Accessibility.getFullAXTree"))
    assert "The run on one axis" in tree


@pytest.mark.timeout(600)  # half a million rows: seconds of work, minutes on a host that is busy otherwise
def test_a_night_is_small_quick_to_show_and_keeps_its_peaks(browser: Chromium, tmp_path: Path) -> None:
    page = write(make(tmp_path, packets=60_000))  # all samples and steps; packets cost time and no room
    assert page.stat().st_size < 2_500_000  # the budget of 8 hours is 5 MB
    opened(browser, page, width=390, phone=True)
    assert browser.evaluate("document.documentElement.scrollWidth") == 390
    # The one sample of 1.875 A on an axis up to 3 A, and its time.
    line = browser.evaluate("document.querySelector('svg path.amps').getAttribute('d')")
    points = [tuple(map(float, part.split())) for part in line.lstrip("M").split("L")]
    x, y = min(points, key=lambda point: point[1])
    assert (x, y) == (pytest.approx(1000 * 20_000.05 / 28_800, abs=0.1), pytest.approx(100 - 100 * 1.875 / 3, abs=0.1))
    radio = browser.evaluate("document.querySelector('svg path.radio').getAttribute('d')")
    heights = [float(part.split()[1]) for part in radio.lstrip("M").split("L")]
    assert max(heights) - sorted(heights)[-3] > 20  # the one dip of 30 dB
    assert browser.evaluate("document.querySelectorAll('svg .mark').length") == 1
    assert "All 2000 steps" in browser.evaluate("document.body.textContent")


def test_on_paper(browser: Chromium, failing: Path) -> None:
    opened(browser, failing, dark=True)
    paper = browser.paper()
    assert paper.startswith(b"%PDF")
    browser.ask("Emulation.setEmulatedMedia", media="print")
    # Dark is for screens: paper stays white.
    assert browser.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(28, 33, 40)"
    browser.ask("Emulation.setEmulatedMedia", media="")


def png_size(data: bytes) -> tuple[int, int]:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert zlib.crc32(data[12:29]) == struct.unpack(">I", data[29:33])[0]
    width, height = struct.unpack(">II", data[16:24])
    return int(width), int(height)
