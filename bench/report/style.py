"""The look of the report: one style sheet, light and dark by what the reader's system prefers, nothing loaded."""

from typing import Final

GLYPHS: Final = {
    "pass": "✔",
    "inconclusive": "?",
    "fail": "✘",
    "aborted": "■",
    "error": "!",
    "bench-error": "!",
    "running": "▶",
    "skipped": "–",
}
"""One glyph a verdict, as in terminal and screen; the word always stands beside it, colour is never alone."""

CSS: Final = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1c2128;--soft:#57606a;--line:#d8dee4;--faint:#eef1f4;
--pass:#1a7f37;--pass2:#4ca866;--fail:#cf222e;--warn:#9a6700;--error:#8250df;--run:#0969da;--amps:#0969da;--volts:#bc4c00}
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--card:#161b22;--ink:#e6edf3;--soft:#9198a1;--line:#30363d;
--faint:#21262d;--pass:#3fb950;--pass2:#2c7a3d;--fail:#f85149;--warn:#d29922;--error:#b083f0;--run:#58a6ff;
--amps:#58a6ff;--volts:#f0883e}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans",sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1120px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:26px;line-height:1.2;margin:0}
h2{font-size:17px;margin:0 0 12px}
h3{font-size:14px;margin:18px 0 6px;color:var(--soft);font-weight:600}
section,header{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:0 0 16px;
min-width:0}
p{margin:0 0 8px}
small,.soft{color:var(--soft);font-size:13px}
code,pre,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12.5px}
code,.mono,td,dd,p{overflow-wrap:anywhere}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--faint);border-radius:6px;padding:10px 12px;
margin:6px 0}
a{color:var(--run)}
.top{display:flex;flex-wrap:wrap;gap:8px 16px;align-items:center;justify-content:space-between}
.bench{border-radius:6px;padding:4px 12px;font-weight:700;letter-spacing:.06em;font-size:13px;white-space:nowrap}
.simulated{border:2px dashed var(--run);color:var(--run)}
.real{border:2px solid var(--ink);background:var(--ink);color:var(--card)}
.mixed{border:2px dotted var(--warn);color:var(--warn)}
.verdicts{display:flex;flex-wrap:wrap;gap:10px;margin:16px 0 10px}
.verdict{border:1px solid currentColor;border-left-width:6px;border-radius:8px;padding:6px 14px;min-width:150px}
.verdict b{display:block;font-size:20px;line-height:1.25}
.verdict span{display:block;color:var(--soft);font-size:13px}
.v-pass{color:var(--pass)}.v-fail{color:var(--fail)}.v-inconclusive,.v-aborted{color:var(--warn)}
.v-error,.v-bench-error,.v-other{color:var(--error)}.v-running{color:var(--run)}.v-skipped{color:var(--soft)}
.word{font-weight:600;white-space:nowrap}
.alarm{border-left:6px solid var(--warn)}.alarm.bad{border-left-color:var(--fail)}
.alarm ul{margin:0;padding-left:20px}
.failure{border-left:4px solid var(--fail);padding:2px 0 2px 14px;margin:0 0 18px}
.failure:last-child{margin-bottom:0}
.failure>p.what{font-size:16px;font-weight:600;margin-bottom:4px}
.hint:before{content:"→ ";color:var(--run);font-weight:700}
table{border-collapse:collapse;width:100%}
th{text-align:left;font-weight:600;color:var(--soft);font-size:13px;border-bottom:1px solid var(--line);
padding:3px 10px 3px 0;white-space:nowrap}
td{padding:4px 10px 4px 0;border-bottom:1px solid var(--faint);vertical-align:top}
tr:last-child>td{border-bottom:0}
.n{text-align:right;white-space:nowrap}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(240px,1fr));gap:10px 24px;margin:0}
.facts dt{color:var(--soft);font-size:13px}.facts dd{margin:0}
.steps td{border-bottom:0}
.steps tr.s>td{border-top:1px solid var(--line)}
.steps tr.d0>td:first-child .name{font-weight:600}
.bar{width:30%;min-width:130px;padding-right:0}
.track{position:relative;display:block;height:10px;border-radius:5px;background:var(--faint);margin-top:7px}
.track i{position:absolute;top:0;bottom:0;min-width:3px;border-radius:3px;background:currentColor}
.steps tr:not(.s)>td{padding-top:0}
.within{padding:0 0 4px;font-size:14px}
.m{display:grid;grid-template-columns:minmax(110px,190px) minmax(90px,150px) minmax(90px,170px) 1fr;gap:0 12px;
align-items:baseline}
.m b{font-weight:500;overflow-wrap:anywhere}
.note{color:var(--soft)}
.ex{font-size:12.5px}
.ex td{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.lane{color:var(--soft);white-space:nowrap}
.times{color:var(--run);white-space:nowrap}
figure{margin:0 0 6px}figcaption{color:var(--soft);font-size:13px;margin:2px 0 10px}
svg{display:block;width:100%;overflow:visible}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--soft)}
svg .phase{fill:var(--pass)}svg .alt{fill:var(--pass2)}
svg .p-fail{fill:var(--fail)}svg .p-inconclusive,svg .p-aborted{fill:var(--warn)}
svg .p-error,svg .p-bench-error,svg .p-other{fill:var(--error)}svg .p-running{fill:var(--run)}
svg .p-after{fill:var(--line)}
svg text.on,svg text.onalt{fill:#fff;font-weight:600}
@media(prefers-color-scheme:dark){svg text.on{fill:#0d1117}}
svg .grid{stroke:var(--line);stroke-width:1}svg .band{fill:var(--faint)}
svg .amps{fill:none;stroke:var(--amps);stroke-width:1.6}svg .fill{fill:var(--amps);opacity:.16}
svg .volts{fill:none;stroke:var(--volts);stroke-width:1.6}
svg path{vector-effect:non-scaling-stroke}svg .dot{fill:var(--amps)}
.keys span{margin-right:16px;white-space:nowrap}.key-amps{color:var(--amps)}.key-volts{color:var(--volts)}
.numbers{display:flex;flex-wrap:wrap;gap:8px 28px;margin:4px 0 14px}
.numbers b{display:block;font-size:20px;line-height:1.2}.numbers span{color:var(--soft);font-size:13px}
.scroll{overflow-x:auto}.scroll td{overflow-wrap:normal}
.result td:first-child{font-weight:600}.result+.soft{margin:6px 0 0}
.log td:first-child{width:84px}.wide{grid-template-columns:repeat(auto-fill,minmax(330px,1fr))}
details>summary{cursor:pointer;color:var(--run)}
footer{color:var(--soft);font-size:13px}
@media(max-width:640px){
main{padding:12px 10px 40px}section,header{padding:14px 12px;border-radius:8px}
h1{font-size:21px}.verdict{flex:1 1 130px;min-width:0}
.steps .bar,.steps .host,.steps .began{display:none}
.m{grid-template-columns:1fr auto;gap:0 10px}.m .limit,.m .source{font-size:13px}
.m .source:empty,.m .limit:empty{display:none}
.stack thead{display:none}.stack tr{display:block;padding:6px 0;border-bottom:1px solid var(--line)}
.stack tr:last-child{border-bottom:0}.stack td{display:block;border:0;padding:1px 0;text-align:left;white-space:normal}
.stack td:empty{display:none}.stack td[data-h]:before{content:attr(data-h) " ";color:var(--soft);
font-family:system-ui,sans-serif}
.facts{grid-template-columns:1fr 1fr}.wide{grid-template-columns:1fr}.facts dd{font-size:14px}
.ex td.lane{display:inline-block;margin-right:10px}
}
@media print{:root{--bg:#fff}section,header{break-inside:avoid;border-color:#bbb}main{max-width:none;padding:0}}
"""


def verdict_class(verdict: str, prefix: str = "v-") -> str:
    """Return the style class of a verdict; of one that is not known, that of errors."""
    return f"{prefix}{verdict}" if verdict in GLYPHS else f"{prefix}other"
