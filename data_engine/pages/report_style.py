"""The style of the report, beside that of the gallery, whose cards it shows."""

STYLE = """
.lead{font-size:1.05rem}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:14px;margin:14px 0}
.grid>*{min-width:0}
.grid{align-items:start}
.grid.wide{grid-template-columns:repeat(auto-fit,minmax(min(500px,100%),1fr))}
.card h3{margin-bottom:.3em}
.card>p{font-size:.92rem}
.flow{list-style:none;margin:14px 0;padding:0;display:grid;
grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px}
.flow li{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:10px 14px;min-width:0}
.flow b{display:block;font-size:1.45rem;line-height:1.2;font-variant-numeric:tabular-nums}
.flow small{color:var(--soft);display:block;overflow-wrap:anywhere}
.said{border-left:3px solid var(--accent);padding-left:10px}
.good{color:var(--c0)}.bad{color:var(--rare)}
details.card{margin:12px 0}
details.card summary{font-weight:600}
.scroll{-webkit-overflow-scrolling:touch}
.scroll:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
td.text,th.text{text-align:left;white-space:normal;min-width:10.5em;overflow-wrap:anywhere}
nav{margin:10px 0 0}
nav a{display:inline-block;margin-right:14px;padding:4px 0}
@media(max-width:640px){.flow{grid-template-columns:1fr 1fr}.grid{grid-template-columns:minmax(0,1fr)}
th,td{padding:6px 7px;font-size:.88rem}}
@media print{details.card{break-inside:avoid}}
"""
