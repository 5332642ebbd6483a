"""A lineage graph as a tree of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data_engine.formats.graph import Direction, Edge, Graph, LeftOut, Node
from data_engine.words import counted

_WIDTH = 110
"""Columns after which what is said of a node goes on in a new line; deep ones may be wider."""
_LEAST = 50
_HEADS: dict[Direction, str] = {"up": "comes from", "down": "led to"}


def tree(graph: Graph) -> str:
    """What the root comes from, and what came of it, each with all that is recorded.

    A node, and the run that made it, are told once: the node where it is nearest to the root.
    """
    told: set[str] = set()
    root = graph.nodes[graph.root]
    lines = [_title(root), *_told(root, "    ", told)]
    for direction, head in _HEADS.items():
        tree = _Tree(graph, direction, told)
        if tree.edges:
            lines += [head, *tree.below(graph.root, "")]
    return "\n".join(lines) + "\n"


class _Tree:
    """One direction of a graph.

    Args:
        told: ids of the nodes and runs that were told; grows.
    """

    def __init__(self, graph: Graph, direction: Direction, told: set[str]) -> None:
        self.edges = graph.up if direction == "up" else graph.down
        self._graph = graph
        self._told = told
        self._beside: dict[str, list[tuple[Edge, str]]] = {}
        self._first: dict[str, Edge] = {}
        for edge in self.edges:
            near, far = (edge.target, edge.source) if direction == "up" else (edge.source, edge.target)
            self._beside.setdefault(near, []).append((edge, far))
            # The edges come level by level, so this is one from nearest to the root.
            self._first.setdefault(far, edge)
        self._rests: dict[str, list[LeftOut]] = {}
        for rest in graph.left_out:
            if rest.direction == direction:
                self._rests.setdefault(rest.node, []).append(rest)

    def below(self, node_id: str, indent: str) -> Iterator[str]:
        """The lines of what stands beside a node, each with what stands beside it in turn."""
        beside, rests = self._beside.get(node_id, []), self._rests.get(node_id, [])
        last = len(beside) + len(rests) - 1
        for position, (edge, far) in enumerate(beside):
            node = self._graph.nodes[far]
            fork, below = ("`-- ", "    ") if position == last else ("|-- ", "|   ")
            known, elsewhere = node.id in self._told, self._first[far] is not edge
            see = " (see above)" if known else " (see below)" if elsewhere else ""
            yield f"{indent}{fork}{_title(node)}{_how(edge)}{see}"
            yield from _paragraphs(_nested(edge.facts, self._told), indent + below)
            if not see:
                yield from _told(node, indent + below, self._told)
                yield from self.below(far, indent + below)
        for position, rest in enumerate(rests, len(beside)):
            more = f"and {rest.total - rest.shown} more of {counted(rest.total, rest.kind)} [{_line(rest.relation)}]"
            yield f"{indent}{'`-- ' if position == last else '|-- '}{more}"


def _title(node: Node) -> str:
    return f"{node.kind} {_line(node.label)}"


def _how(edge: Edge) -> str:
    said = _phrases({name: value for name, value in edge.facts.items() if not isinstance(value, Mapping)})
    return f" [{': '.join(filter(None, (_line(edge.relation), ', '.join(said))))}]"


def _told(node: Node, indent: str, told: set[str]) -> Iterator[str]:
    """The facts of a node, then what happened to it, below its title."""
    told.add(node.id)
    plain = {name: value for name, value in node.facts.items() if not isinstance(value, Mapping)}
    yield from _paragraphs(("; ".join(_phrases(plain)), *_nested(node.facts, told)), indent)
    for event in node.events:
        what = {name: value for name, value in event.items() if name not in ("at", "what")}
        said = "; ".join([_line(event["what"]), *_phrases(what)])
        yield from _paragraphs((f"{_line(event.get('at', '-'))}  {said}",), indent)


def _nested(facts: Mapping[str, Any], told: set[str]) -> Iterator[str]:
    """A line for each fact that is a table itself; a table in it has a line of its own."""
    for name, value in facts.items():
        if not isinstance(value, Mapping):
            continue
        known = f"{name}:{value['id']}" if "id" in value else None
        if known in told:
            yield f"{_words(name)}: {value['id']} (see above)"
            continue
        if known is not None:
            told.add(known)
        plain = {n: v for n, v in value.items() if not isinstance(v, Mapping)}
        yield f"{_words(name)}: {'; '.join(_phrases(plain))}"
        yield from _nested({n: v for n, v in value.items() if isinstance(v, Mapping)}, told)


def _phrases(facts: Mapping[str, Any]) -> list[str]:
    return [f"{_words(name)} {_value(value)}" for name, value in facts.items() if value not in (None, "", [], ())]


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{_words(str(name))} {_value(item)}" for name, item in value.items()) + ")"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(filter(None, map(_value, value)))
    return _line(str(value))


def _words(name: str) -> str:
    return _line(name.replace("_", " "))


def _line(text: str) -> str:
    return " ".join(str(text).split())


def _paragraphs(texts: Iterator[str] | Sequence[str], indent: str) -> Iterator[str]:
    for text in texts:
        width = max(_WIDTH - len(indent), _LEAST)
        if text and len(text) <= width and text.isprintable():
            yield f"{indent}{text.rstrip()}"
        elif text:
            wrapped = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
            yield from (f"{indent}{'' if number == 0 else '  '}{line}" for number, line in enumerate(wrapped))
