"""Small pieces of HTML: escaped text, bars, tables, the document around them and the style they share."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

MISSING = "–"
_SURROGATE = re.compile("[\ud800-\udfff]")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def text(value: object) -> str:
    """A value as HTML text, safe in attributes too; bytes of a file name that are no text show their numbers."""
    return html.escape(_SURROGATE.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", str(value)), quote=True)


def score(value: float | None) -> str:
    """An average precision with three digits, or a dash."""
    return MISSING if value is None else f"{value:.3f}"


def thousands(value: int) -> str:
    """``12 480``, with spaces that do not break."""
    return f"{value:,}".replace(",", "\u202f")


def swatch(hue: str, label: str) -> str:
    """A legend entry; ``hue`` is one of the style's class colours, ``c0`` to ``c7`` or ``rare``."""
    return f'<span class="key"><i class="{text(hue)}"></i>{text(label)}</span>'


def bar(label: str, value: float | None, note: str, hue: str) -> str:
    """One horizontal bar; ``value`` is 0 to 1, ``note`` is written beside it."""
    width = 0.0 if value is None else 100.0 * min(1.0, max(0.0, value))
    return (
        f'<div class="bar"><span class="bar-label">{text(label)}</span>'
        f'<span class="track"><i class="{text(hue)}" style="width:{width:.1f}%"></i></span>'
        f'<span class="bar-value">{text(note)}</span></div>'
    )


def stack(parts: Sequence[tuple[str, str, int]]) -> str:
    """One bar of several parts: (class colour, label, count) each; widths are shares of the sum."""
    total = sum(count for _, _, count in parts)
    pieces = "".join(
        f'<i class="{text(hue)}" style="width:{100.0 * count / total:.2f}%" title="{text(label)}: {count}"></i>'
        for hue, label, count in parts
        if count
    )
    return f'<div class="stack">{pieces}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names the row."""
    titles = "".join(f'<th scope="col">{text(title)}</th>' for title in head)
    lines = "".join(
        f'<tr><th scope="row">{text(row[0])}</th>{"".join(f"<td>{text(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>'


def document(title: str, body: str, style: str = "") -> str:
    """A whole page: ``body`` is HTML, ``style`` is what it needs besides :data:`STYLE`.

    The page forbids itself scripts and everything that would have to be fetched.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}{style}</style></head><body><main>{body}</main></body></html>\n"
    )


STYLE = """
:root{color-scheme:light dark;--paper:#f6f5f1;--card:#fff;--ink:#1d2226;--soft:#616a70;--rule:#dcdad2;--accent:#b45309;
--c0:#2f7d63;--c1:#c58a00;--c2:#3567b0;--c3:#7a4fa3;--c4:#0f7f90;--c5:#8a6d3b;--c6:#5d7a1f;--c7:#68727a;--rare:#cf2e2e;--old:#b9bdc0}
@media(prefers-color-scheme:dark){:root{--paper:#14171a;--card:#1d2125;--ink:#e8e6e0;--soft:#9ba4aa;--rule:#343a40;--accent:#f0a04b;
--c0:#4db892;--c1:#f0b93a;--c2:#6b9ce6;--c3:#b18ae0;--c4:#49bccb;--c5:#c4a269;--c6:#a3c55a;--c7:#9aa4ab;--rare:#ff6259;--old:#596168}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:clamp(1.55rem,4.2vw,2.4rem);line-height:1.15;margin:.2em 0 .3em;max-width:24ch;text-wrap:balance}
h2{font-size:1.15rem;margin:2.4em 0 .8em}
h3{font-size:1rem;margin:0 0 .6em}
p{margin:.2em 0 .8em;max-width:70ch}
.soft,.bar-label,figcaption small{color:var(--soft)}
.eyebrow{color:var(--accent);font-weight:600;letter-spacing:.02em;margin:0}
.card{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:16px}
.bar{display:grid;grid-template-columns:minmax(5.5em,9em) 1fr 3.6em;
gap:10px;align-items:center;margin:5px 0;font-size:.92rem}
.bar-value{text-align:right;font-variant-numeric:tabular-nums}
.track,.stack{display:flex;height:14px;border-radius:4px;
background:color-mix(in srgb,var(--rule) 55%,transparent);overflow:hidden}
.stack{height:22px;margin:4px 0 8px}
.track i,.stack i{display:block;height:100%}
.group{margin:0 0 14px}
.key{display:inline-flex;align-items:center;gap:6px;margin-right:16px;font-size:.92rem}
.key i{width:12px;height:12px;border-radius:3px;display:inline-block}
i.c0{background:var(--c0)}i.c1{background:var(--c1)}i.c2{background:var(--c2)}i.c3{background:var(--c3)}i.c4{background:var(--c4)}
i.c5{background:var(--c5)}i.c6{background:var(--c6)}i.c7{background:var(--c7)}i.rare{background:var(--rare)}i.old{background:var(--old)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.95rem}
th,td{padding:6px 10px;border-bottom:1px solid var(--rule);text-align:right;
font-variant-numeric:tabular-nums;white-space:nowrap}
th:first-child{text-align:left;font-weight:400;white-space:normal}
thead th{font-weight:600}
tbody tr:last-child>*{border-bottom:0}
.shots{display:grid;grid-template-columns:repeat(auto-fill,minmax(270px,1fr));gap:14px}
figure{margin:0;background:var(--card);border:1px solid var(--rule);border-radius:10px;overflow:hidden}
.shot{position:relative;width:100%}
.shot img,.shot svg{position:absolute;inset:0;width:100%;height:100%;display:block;object-fit:contain}
.shot rect{fill:none}
.shot text{font-weight:600;font-family:system-ui,sans-serif;paint-order:stroke;stroke:#000c;stroke-width:.18em}
.shot svg{filter:drop-shadow(0 0 .6px #000)}
.shot svg rect{pointer-events:all}
.shot .lost{position:absolute;inset:0;display:grid;place-items:center;margin:0;padding:1em;
text-align:center;color:var(--soft)}
/* On pictures the colours do not follow the page's theme. */
rect.c0{stroke:#5fe0b0}rect.c1{stroke:#ffd34d}rect.c2{stroke:#7fb2ff}rect.c3{stroke:#cfa6ff}rect.c4{stroke:#5fe3f2}
rect.c5{stroke:#e6c48a}rect.c6{stroke:#c4e873}rect.c7{stroke:#dfe5e8}rect.rare{stroke:#ff5148}
text.c0{fill:#5fe0b0}text.c1{fill:#ffd34d}text.c2{fill:#7fb2ff}text.c3{fill:#cfa6ff}text.c4{fill:#5fe3f2}
text.c5{fill:#e6c48a}text.c6{fill:#c4e873}text.c7{fill:#dfe5e8}text.rare{fill:#ff7a72}
figcaption{padding:8px 12px 10px;font-size:.92rem;line-height:1.35;overflow-wrap:anywhere}
figcaption small{display:block}
@media(max-width:640px){main{padding:20px 14px 48px}.bar{grid-template-columns:7em 1fr 3.2em}}
"""
