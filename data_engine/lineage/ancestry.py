"""The lineage of one thing: walked level by level, with one query for each kind of step on a level."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from data_engine.formats.graph import Direction, Edge, Graph, LeftOut, Node
from data_engine.lineage.ancestry_down import DOWN
from data_engine.lineage.ancestry_nodes import describe
from data_engine.lineage.ancestry_rows import Rows
from data_engine.lineage.ancestry_steps import Named, Step, follow
from data_engine.lineage.ancestry_up import UP
from data_engine.lineage.database import Connection


def ancestry(
    connection: Connection,
    kind: str,
    key: str,
    *,
    directions: Collection[Direction] = ("up", "down"),
    depth: int,
    everything: bool = False,
) -> Graph:
    """What a thing comes from, and what came of it.

    Args:
        kind: one of :data:`~data_engine.lineage.ancestry_nodes.KINDS`.
        key: its id; of a camera its name.
        depth: steps from it at most.
        everything: all of a kind beside a node; else the first few, and how many there are.
    """
    root = f"{kind}:{key}"
    rows = Rows(connection)
    walks = {direction: _Walk(rows, direction, root, everything) for direction in ("up", "down")}
    for direction in directions:
        walks[direction].go(depth)
    met = dict.fromkeys((root, *walks["up"].met, *walks["down"].met))
    return Graph(
        root=root,
        nodes=_described(rows, met),
        up=tuple(walks["up"].edges),
        down=tuple(walks["down"].edges),
        left_out=(*walks["up"].left_out, *walks["down"].left_out),
        deeper=any(walk.ahead for walk in walks.values()),
    )


STEPS: dict[Direction, tuple[Step | Named, ...]] = {"up": UP, "down": DOWN}


class _Walk:
    """One direction of a walk, as far as it has come."""

    def __init__(self, rows: Rows, direction: Direction, root: str, everything: bool) -> None:
        self._rows = rows
        self._direction = direction
        self._everything = everything
        self._root = root
        self._entered = {root}
        self.met: dict[str, None] = {}
        self.edges: list[Edge] = []
        self.left_out: list[LeftOut] = []
        self.ahead: dict[str, list[str]] = {}
        """What stands on the next level, by kind, and can be gone on from."""

    def go(self, depth: int) -> None:
        kind, _colon, key = self._root.partition(":")
        self.ahead = {kind: [key]}
        for level in range(depth):
            here, self.ahead = self.ahead, {}
            for step in STEPS[self._direction]:
                keys = here.get(step.start, ())
                if keys and (level == 0 or not step.at_root):
                    links, totals = follow(self._rows, step, keys, everything=self._everything)
                    shown: dict[str, int] = {}
                    for link in links:
                        near, far = f"{step.start}:{link.near}", f"{step.end}:{link.far}"
                        ends = (far, near) if self._direction == "up" else (near, far)
                        self.edges.append(Edge(*ends, step.relation, link.facts))
                        self.met[far] = None
                        shown[link.near] = shown.get(link.near, 0) + 1
                        if not step.leaf and far not in self._entered:
                            self._entered.add(far)
                            if step.end in _GOES_ON[self._direction]:
                                self.ahead.setdefault(step.end, []).append(link.far)
                    self.left_out += [
                        LeftOut(f"{step.start}:{k}", self._direction, step.end, step.relation, total, shown[k])
                        for k, total in totals.items()
                    ]


_GOES_ON: dict[Direction, set[str]] = {
    direction: {step.start for step in steps if not step.at_root} for direction, steps in STEPS.items()
}


def _described(rows: Rows, ids: Iterable[str]) -> dict[str, Node]:
    by_kind: dict[str, list[str]] = {}
    order = list(ids)
    for node_id in order:
        kind, _colon, key = node_id.partition(":")
        by_kind.setdefault(kind, []).append(key)
    found = describe(rows, by_kind)
    return {node_id: found[node_id] for node_id in order}
