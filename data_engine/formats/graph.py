"""A lineage as a graph: what something comes from, and what came of it.

Ids are ``<kind>:<id in lineage>`` and stay the same from one question to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Direction = Literal["up", "down"]
"""``up``: what something comes from; ``down``: what came of it."""


@dataclass(frozen=True, slots=True)
class Node:
    """One thing that is recorded."""

    kind: str
    """``video``, ``frame``, ``box``, ``job`` …; ``versions`` are those that hold the same frame or box."""
    key: str
    """Its id in lineage; of a camera its name."""
    label: str
    """What tells it from its like, for people."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """All else that is recorded of it, as plain JSON values."""
    events: tuple[Mapping[str, Any], ...] = ()
    """What happened to it, oldest first; each has a ``what`` and an ``at`` (ISO 8601)."""

    @property
    def id(self) -> str:
        """``<kind>:<key>``."""
        return f"{self.kind}:{self.key}"


@dataclass(frozen=True, slots=True)
class Edge:
    """One thing came of another."""

    source: str
    """Id of what came first."""
    target: str
    """Id of what came of it."""
    relation: str
    """What was done with the source, in one or two words: ``sampled``, ``trained``."""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """There are more of one kind beside a node than are in the graph."""

    node: str
    direction: Direction
    kind: str
    relation: str
    total: int
    shown: int


@dataclass(frozen=True, slots=True)
class Graph:
    """The surroundings of one node."""

    root: str
    nodes: Mapping[str, Node]
    """By id, in the order in which they were met."""
    up: tuple[Edge, ...]
    """Edges that were walked from their target to their source."""
    down: tuple[Edge, ...]
    """Edges that were walked from their source to their target."""
    left_out: tuple[LeftOut, ...] = ()
    deeper: bool = False
    """Whether the walk ended at its depth before it had looked at everything."""

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge once."""
        return tuple({(e.source, e.target, e.relation): e for e in (*self.down, *self.up)}.values())


def graph_data(graph: Graph) -> dict[str, Any]:
    """The graph as plain JSON values: ``root``, ``nodes``, ``edges``, ``left_out``."""
    return {
        "root": graph.root,
        "nodes": [
            {
                "id": n.id,
                "kind": n.kind,
                "label": n.label,
                "facts": dict(n.facts),
                "events": [dict(e) for e in n.events],
            }
            for n in graph.nodes.values()
        ],
        "edges": [
            {"source": e.source, "target": e.target, "relation": e.relation, "facts": dict(e.facts)}
            for e in graph.edges
        ],
        "left_out": [
            {
                "node": rest.node,
                "direction": rest.direction,
                "kind": rest.kind,
                "relation": rest.relation,
                "total": rest.total,
                "shown": rest.shown,
            }
            for rest in graph.left_out
        ],
    }
