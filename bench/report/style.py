"""The look of the report: one style sheet, light and dark by what the reader's system prefers, nothing loaded."""

from collections.abc import Mapping
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

LIGHT: Final = {
    "bg": "#f6f7f9",
    "card": "#ffffff",
    "ink": "#1c2128",
    "soft": "#57606a",
    "line": "#d0d7de",
    "faint": "#eef1f4",
    "pass": "#1a7f37",
    "fail": "#c11c27",
    "warn": "#8a5c00",
    "error": "#7a3fd0",
    "run": "#0757b8",
    "amps": "#0757b8",
    "volts": "#a34100",
    "radio": "#7a3fd0",
    "phase": "#cfe9d5",
    "alt": "#b3dbbd",
    "on": "#ffffff",
}
DARK: Final = {
    "bg": "#0d1117",
    "card": "#161b22",
    "ink": "#e6edf3",
    "soft": "#9ea7b1",
    "line": "#373e47",
    "faint": "#21262d",
    "pass": "#4cc463",
    "fail": "#ff7b72",
    "warn": "#dba63a",
    "error": "#bc9bf5",
    "run": "#6cb2ff",
    "amps": "#6cb2ff",
    "volts": "#f2954b",
    "radio": "#bc9bf5",
    "phase": "#173d22",
    "alt": "#1f5130",
    "on": "#0d1117",
}


def _colours(palette: Mapping[str, str]) -> str:
    return ";".join(f"--{name}:{value}" for name, value in palette.items())


CSS: Final = f":root{{color-scheme:light dark;{_colours(LIGHT)}}}\n@media screen and (prefers-color-scheme:dark){{" + (
    f":root{{{_colours(DARK)}}}}}"
    + """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;max-width:1160px;padding:20px 20px 50px;background:var(--bg);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;font-variant-numeric:tabular-nums}
h1{font-size:26px;line-height:1.2;margin:0;overflow-wrap:anywhere}
h2{font-size:17px;margin:0 0 12px}
h3{font-size:14px;margin:18px 0 6px;color:var(--soft);font-weight:600}
section,header{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:0 0 16px;
min-width:0}
p{margin:0 0 8px}
b,span,small,summary{unicode-bidi:isolate}
small,.soft{color:var(--soft);font-size:13px}
pre,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12.5px}
.mono,td,th,dd,p,li{overflow-wrap:anywhere}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--faint);border-radius:6px;padding:10px 12px;
margin:6px 0}
a{color:var(--run)}a:focus-visible,summary:focus-visible{outline:2px solid var(--run);outline-offset:2px}
nav ul{display:flex;flex-wrap:wrap;gap:4px 16px;list-style:none;margin:0 0 14px;padding:0 4px;font-size:14px}
.top{display:flex;flex-wrap:wrap;gap:8px 16px;align-items:center;justify-content:space-between}
.bench{border-radius:6px;padding:4px 12px;font-weight:700;letter-spacing:.06em;font-size:13px;white-space:nowrap}
.simulated{border:2px dashed var(--run);color:var(--run)}
.real{border:2px solid var(--ink);background:var(--ink);color:var(--card)}
.mixed{border:2px dotted var(--warn);color:var(--warn)}
.verdicts{display:flex;flex-wrap:wrap;gap:10px;margin:16px 0 10px}
.verdict{border:1px solid currentColor;border-left-width:6px;border-radius:8px;padding:6px 14px;min-width:150px}
.verdict b{display:block;font-size:20px;line-height:1.25}
.verdict span{display:block;color:var(--soft);font-size:13px}
.reason{font-size:17px;font-weight:600;margin:0 0 6px;white-space:pre-line}
.v-pass{color:var(--pass)}.v-fail{color:var(--fail)}.v-inconclusive,.v-aborted{color:var(--warn)}
.v-error,.v-bench-error,.v-other{color:var(--error)}.v-running{color:var(--run)}.v-skipped{color:var(--soft)}
.word{font-weight:600;white-space:nowrap}
.alarm{border-left:6px solid var(--warn)}.alarm.bad{border-left-color:var(--fail)}
.alarm ul{margin:0;padding-left:20px}
.failure{border-left:4px solid var(--fail);padding:2px 0 2px 14px;margin:0 0 18px}
.failure:last-child{margin-bottom:0}
.failure>p.what{font-size:16px;font-weight:600;margin-bottom:4px;white-space:pre-line}
.hint:before{content:"→ ";color:var(--run);font-weight:700}
table{border-collapse:collapse;width:100%}
thead th{color:var(--soft);font-size:13px;border-bottom:1px solid var(--line);white-space:nowrap}
th{text-align:left;font-weight:600;padding:3px 10px 3px 0;vertical-align:top}
tbody th{font-weight:500;padding:4px 10px 4px 0;border-bottom:1px solid var(--faint)}
td{padding:4px 10px 4px 0;border-bottom:1px solid var(--faint);vertical-align:top}
tr:last-child>td,tr:last-child>th[scope=row]{border-bottom:0}
.n{text-align:right;white-space:nowrap}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(240px,1fr));gap:10px 24px;margin:0}
.facts dt{color:var(--soft);font-size:13px}.facts dd{margin:0}
.facts.wide{grid-template-columns:repeat(auto-fill,minmax(330px,1fr))}
.steps td{border-bottom:0}
.steps tr.s>td{border-top:1px solid var(--line)}
.i0 .name{font-weight:600}
.bar{width:28%;min-width:110px;padding-right:0}
.i1{padding-left:22px}.i2{padding-left:44px}.i3{padding-left:66px}.i4{padding-left:88px}.i5{padding-left:110px}
.i6{padding-left:132px}.i7{padding-left:154px}.i8{padding-left:176px}
.w0{padding-left:20px}.w1{padding-left:42px}.w2{padding-left:64px}.w3{padding-left:86px}.w4{padding-left:108px}
.w5{padding-left:130px}.w6{padding-left:152px}.w7{padding-left:174px}.w8{padding-left:196px}
.track{border-radius:5px;background:var(--faint);margin-top:7px;overflow:hidden}
.track rect{fill:currentColor}
.margin{width:17%;min-width:110px}.margin .track{display:inline-block;width:calc(100% - 52px);margin:0 6px 0 0}
.steps tr:not(.s)>td{padding-top:0}
.within{padding:0 0 4px;font-size:14px}
.m{display:grid;grid-template-columns:minmax(110px,190px) minmax(90px,150px) minmax(90px,170px) 1fr;gap:0 12px;
align-items:baseline}
.m b{font-weight:500;overflow-wrap:anywhere}
.note{white-space:pre-line}.note:not([class*=v-]){color:var(--soft)}
.ex{font-size:12.5px}
.ex td{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.ex .moment td{color:var(--fail);font-weight:700;border-bottom:2px solid var(--fail)}
.ex .f{min-width:15em}.ex .bad{color:var(--fail)}.unsure{color:var(--run);font-weight:700;cursor:help}
.lane{color:var(--soft);white-space:nowrap}
.ex details{display:inline-block;vertical-align:top;max-width:100%}.ex summary{margin-left:8px}
tbody th{min-width:9.5em}.limits td:nth-child(2){white-space:nowrap}
.times{color:var(--run);white-space:nowrap}
figure{margin:0 0 6px}figcaption{color:var(--soft);font-size:13px;margin:4px 0 6px}
figcaption span{margin-right:14px}
svg{display:block;width:100%}
.course{overflow:visible}.clip{overflow:hidden}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--soft)}
svg .phase{fill:var(--phase);stroke:var(--card)}svg .alt{fill:var(--alt);stroke:var(--card)}
svg.many .phase,svg.many .alt{stroke:none}
svg .on-phase,svg .on-alt{fill:var(--ink);font-weight:600}
svg .p-fail{fill:var(--fail)}svg .p-inconclusive,svg .p-aborted{fill:var(--warn)}
svg .p-error,svg .p-bench-error,svg .p-other{fill:var(--error)}svg .p-running{fill:var(--run)}
svg [class^=on-p-]{fill:var(--on);font-weight:600}
svg .p-skipped,svg .after{fill:var(--line)}
svg .reg-good{fill:var(--phase);stroke:var(--pass)}svg .reg-bad{fill:var(--card);stroke:var(--fail);stroke-width:2}
svg .reg-waiting{fill:var(--card);stroke:var(--warn);stroke-dasharray:4 3}
svg .reg-none{fill:var(--faint);stroke:var(--line)}
svg [class^=on-reg-]{fill:var(--ink)}
svg .grid{stroke:var(--line);stroke-width:1}
svg .amps{fill:none;stroke:var(--amps);stroke-width:1.6}svg .fill{fill:var(--amps);opacity:.16}
svg .volts{fill:none;stroke:var(--volts);stroke-width:1.6}
svg .radio{fill:none;stroke:var(--radio);stroke-width:1.6}
svg .dot{stroke-linecap:round;stroke-width:4}
svg path{vector-effect:non-scaling-stroke}
svg .label{paint-order:stroke;stroke:var(--card);stroke-width:3px;stroke-linejoin:round}
svg .mark line{stroke:var(--fail);stroke-width:1.5;stroke-dasharray:5 3}
svg .mark text{fill:var(--fail);font-weight:700;font-size:14px}
svg .card circle{fill:var(--pass);stroke:var(--card)}
.key-amps{color:var(--amps)}.key-volts{color:var(--volts)}.key-radio{color:var(--radio)}.key-mark{color:var(--fail)}
.key-phase{color:var(--pass)}
svg .key-amps{fill:var(--amps)}svg .key-volts{fill:var(--volts)}svg .key-radio{fill:var(--radio)}
.numbers{display:flex;flex-wrap:wrap;gap:8px 28px;margin:4px 0 14px}
.numbers dd{margin:0;font-size:20px;font-weight:700;line-height:1.2}.numbers dt{color:var(--soft);font-size:13px}
.numbers div{display:flex;flex-direction:column}
.result td:first-child{font-weight:600;min-width:9.5em}.result+.soft{margin:6px 0 0}
.log td:first-child{width:84px}
details>summary{cursor:pointer;color:var(--run)}
footer{color:var(--soft);font-size:13px;padding:0 4px}
@media(max-width:640px){
body{padding:10px 10px 40px}section,header{padding:14px 12px;border-radius:8px}
h1{font-size:21px}.verdict{flex:1 1 130px;min-width:0}
.wide-only{display:none}
.steps .bar,.steps .host,.steps .began{display:none}
.i1{padding-left:12px}.i2{padding-left:24px}.i3{padding-left:36px}.i4,.i5,.i6,.i7,.i8{padding-left:48px}
.w0{padding-left:10px}.w1{padding-left:22px}.w2{padding-left:34px}.w3,.w4,.w5,.w6,.w7,.w8{padding-left:46px}
.m{grid-template-columns:1fr auto;gap:0 10px}.m .limit,.m .source{font-size:13px}
.m .source:empty,.m .limit:empty{display:none}
.stack thead{display:none}.stack tr{display:block;padding:6px 0;border-bottom:1px solid var(--line)}
.stack tr:last-child{border-bottom:0}
.stack td,.stack th{display:block;border:0;padding:1px 0;text-align:left;white-space:normal;width:auto}
.stack th[scope=row]{font-weight:600}
.stack td.n{display:inline-block;margin-right:14px}
.stack td:empty{display:none}.stack td[data-h]:before{content:attr(data-h) " ";color:var(--soft);
font-family:system-ui,sans-serif}
.facts{grid-template-columns:1fr 1fr}.facts.wide{grid-template-columns:1fr}.facts dd{font-size:14px}
.ex td.lane{display:inline-block;margin-right:10px}
}
@media print{body{max-width:none;padding:0;background:none}nav{display:none}
section,header{border-color:#bbb;padding:10px 12px}header,figure,tr,.failure>p{break-inside:avoid}
h2,h3{break-after:avoid}thead{display:table-header-group}a{color:inherit;text-decoration:none}}
"""
)


def verdict_class(verdict: str, prefix: str = "v-") -> str:
    """Return the style class of a verdict; of one that is not known, that of errors."""
    return f"{prefix}{verdict}" if verdict in GLYPHS else f"{prefix}other"
