"""A lineage graph as a Mermaid flowchart."""

from __future__ import annotations

import re

from data_engine.formats.graph import Edge, Graph, Node
from data_engine.types import content_id
from data_engine.words import counted

_PLAIN = set(" _.,-+/()@=")
_MOST = 90
"""Characters of one line of a label; the rest is cut."""


def mermaid(graph: Graph) -> str:
    """The text of a flowchart that reads from left to right; what was left out stands in dashed boxes."""
    lines = ["flowchart LR"]
    lines += [f'    {_name(node.id)}["{_label(node)}"]' for node in graph.nodes.values()]
    lines += [_arrow(edge) for edge in graph.edges]
    for number, rest in enumerate(graph.left_out, 1):
        here, there = _name(rest.node), f"more_{number}"
        lines.append(f'    {there}(["{_escaped(counted(rest.total - rest.shown, f"more {rest.kind}"))}"])')
        source, target = (there, here) if rest.direction == "up" else (here, there)
        lines.append(f'    {source} -.->|"{_escaped(rest.relation)}"| {target}')
    lines += ["    classDef asked stroke-width:3px", f"    class {_name(graph.root)} asked"]
    return "\n".join(lines) + "\n"


def _arrow(edge: Edge) -> str:
    return f'    {_name(edge.source)} -->|"{_escaped(edge.relation)}"| {_name(edge.target)}'


def _name(node_id: str) -> str:
    """A name that no keyword of the language can be part of."""
    kind, _colon, key = node_id.partition(":")
    return f"{kind}_{key if re.fullmatch('[0-9a-f]{32}', key) else content_id('mermaid', key)[:12]}"


def _label(node: Node) -> str:
    return "<br/>".join(map(_escaped, (node.kind, node.label, *_people(node))))


def _people(node: Node) -> list[str]:
    """The facts that a picture has room for: people, and dates."""
    shown = ("annotator", "reviewer", "captured_at", "created_at", "registered_at")
    said = [f"{name.replace('_', ' ')} {node.facts[name]}" for name in shown if node.facts.get(name)]
    return said + [" ".join(map(str, (e["what"], e.get("at", "")))) for e in node.events if e["what"] in _DECISIONS]


_DECISIONS = ("accepted", "rejected")


def _escaped(text: str) -> str:
    """The text with everything that could mean something to Mermaid, Markdown or HTML as a character's number."""
    if len(text) > _MOST:
        text = f"{text[: _MOST - 1]}…"
    return "".join(
        letter
        if letter.isalnum() or letter in _PLAIN or letter == "…"
        else " "
        if letter.isspace()
        else f"#{ord(letter)};"
        if letter.isprintable()
        else "?"
        for letter in text
    )
