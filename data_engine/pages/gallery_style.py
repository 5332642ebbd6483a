"""The style of the gallery, beside the one that pages share."""

STYLE = """
h1{max-width:none;font-size:clamp(1.5rem,3.2vw,2.1rem)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px 22px;margin:20px 0}
.facts div{border-top:3px solid var(--rule);padding-top:8px}
.facts dt{font-size:.9rem;color:var(--soft)}
.facts dd{margin:0;overflow-wrap:anywhere;
font-size:1.1rem;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums}
.three{display:grid;grid-template-columns:repeat(auto-fit,minmax(290px,1fr));gap:14px;margin:20px 0}
.three .bar{grid-template-columns:minmax(5.5em,9em) 1fr auto}
.three .bar-label{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.bar-value{white-space:nowrap}
.wide .bar-value{min-width:6em}
i.part{background:var(--part)}i.faint{opacity:.45}
:root{--part:#5f6f86}
@media(prefers-color-scheme:dark){:root{--part:#93a5c0}}
.legend{max-width:none;margin:22px 0 10px;font-size:.92rem;display:flex;flex-wrap:wrap;gap:4px 18px;align-items:center}
.legend .key{margin:0}
.key i.line{width:22px;height:0;border-radius:0;border-top:3px solid var(--ink)}
.key i.dashed{border-top-style:dashed}
.filters{background:var(--paper);padding:4px 0 8px}
fieldset{border:0;margin:0;padding:4px 0;display:flex;flex-wrap:wrap;gap:6px;align-items:center}
legend{float:left;padding:0;min-width:5em;color:var(--soft);font-size:.92rem}
fieldset label{cursor:pointer}
fieldset input{position:absolute;opacity:0}
fieldset span{display:block;padding:3px 12px;border:1px solid var(--rule);border-radius:99px;
background:var(--card);font-size:.92rem}
fieldset small{color:var(--soft);font-variant-numeric:tabular-nums}
fieldset :checked+span{background:var(--ink);border-color:var(--ink);color:var(--paper)}
fieldset :checked+span small{color:inherit}
fieldset :focus-visible+span{outline:3px solid var(--accent);outline-offset:2px}
h2{margin:1.6em 0 .6em}h2 .soft{font-weight:400}
ol.shots{list-style:none;margin:0;padding:0;grid-template-columns:repeat(auto-fill,minmax(290px,1fr));align-items:start}
.item{scroll-margin-top:110px}
li.item{content-visibility:auto;contain-intrinsic-height:auto 430px}
.item:target figure,tr.item:target{outline:3px solid var(--accent);outline-offset:-3px}
.head{display:flex;align-items:baseline;gap:10px;margin:0 0 4px}
.head .soft{margin-left:auto;font-variant-numeric:tabular-nums}
.rank{font-size:1.25rem;font-weight:700;line-height:1.1;font-variant-numeric:tabular-nums}
.rank::before{content:"#";color:var(--soft);font-weight:400;margin-right:1px}
.why{margin:0 0 6px}
.against{margin:0 0 6px;padding-left:8px;border-left:3px solid var(--accent)}
a{color:inherit;text-decoration-color:var(--accent);text-underline-offset:2px}
figcaption .bar{grid-template-columns:6.2em 1fr 3.4em;gap:8px;margin:2px 0;font-size:.82rem}
figcaption .track{height:8px}
figcaption>small{margin-top:6px}
details{margin-top:6px}
summary{cursor:pointer}
figcaption summary{font-size:.88rem}
.boxes{list-style:none;margin:4px 0 0;padding:0;font-size:.85rem}
.boxes i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:6px}
.rows{margin-top:16px}
.rows th,.rows td{text-align:left;vertical-align:top;white-space:normal;overflow-wrap:anywhere}
.rows th,.rows td:nth-child(3){white-space:nowrap;overflow-wrap:normal}
.rows td p{margin:0}
@media(min-width:900px){.filters{position:sticky;top:0;z-index:2;border-bottom:1px solid var(--rule)}}
@media(max-width:640px){.facts{grid-template-columns:1fr 1fr}
ol.shots{grid-template-columns:minmax(0,1fr)}legend{float:none;width:100%}
.rows th,.rows td{padding:6px 4px;font-size:.85rem}}
@media print{.filters{display:none}li.item{break-inside:avoid}}
"""
