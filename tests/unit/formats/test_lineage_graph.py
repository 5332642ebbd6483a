"""A lineage graph as JSON, as a tree and as Mermaid."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from data_engine.formats.graph import Edge, Graph, LeftOut, Node, graph_data
from data_engine.formats.graph_text import tree
from data_engine.formats.mermaid import mermaid

RUN = {"run": {"id": "r1", "stage": "sample", "settings": {"method": "tiles", "crop": True}}}
VIDEO = Node("video", "a" * 32, "gate", {"camera": "yard", "duration_s": 12.5, "venue": None})
FRAMES = [Node("frame", f"{n}" * 32, f"gate_{n}.jpg", {"sampled": {"reason": "changed", **RUN}}) for n in (1, 2)]
JOB = Node("job", "c" * 32, "12", {"annotator": "ann"}, ({"what": "accepted", "at": "2026", "by": "rev"},))
BOX = Node("box", "d" * 32, "helmet", {"xywh": [1.5, 2.0, 3.0, 4.0], "iscrowd": False})


def graph() -> Graph:
    nodes = {node.id: node for node in (BOX, JOB, *FRAMES, VIDEO)}
    up = (
        Edge(JOB.id, BOX.id, "accepted"),
        Edge(FRAMES[0].id, BOX.id, "annotated", {"position": 3}),
        Edge(FRAMES[0].id, JOB.id, "put into"),
        Edge(FRAMES[1].id, JOB.id, "put into"),
        Edge(VIDEO.id, FRAMES[0].id, "sampled", {"parts": {"uncertain": 0.25}}),
    )
    return Graph(
        BOX.id, nodes, up, (Edge(BOX.id, "versions:1-", "held"),), (LeftOut(JOB.id, "up", "frame", "put into", 400, 2),)
    )


def whole() -> Graph:
    made = graph()
    versions = Node("versions", "1-", "v1 and later")
    return Graph(made.root, {**made.nodes, versions.id: versions}, made.up, made.down, made.left_out)


def test_the_tree_tells_a_node_once_and_where_it_is_nearest():
    assert tree(whole()).splitlines() == [
        "box helmet",
        "    xywh 1.5, 2, 3, 4; iscrowd no",
        "comes from",
        "|-- job 12 [accepted]",
        "|   annotator ann",
        "|   2026  accepted; by rev",
        "|   |-- frame gate_1.jpg [put into] (see below)",
        "|   |-- frame gate_2.jpg [put into]",
        "|   |   sampled: reason changed",
        "|   |   run: id r1; stage sample",
        "|   |   settings: method tiles; crop yes",
        "|   `-- and 398 more of 400 frames [put into]",
        "`-- frame gate_1.jpg [annotated: position 3]",
        "    sampled: reason changed",
        "    run: r1 (see above)",
        "    `-- video gate [sampled]",
        "        parts: uncertain 0.25",
        "        camera yard; duration s 12.5",
        "led to",
        "`-- versions v1 and later [held]",
    ]


def test_long_facts_are_wrapped_and_line_breaks_are_gone():
    node = Node("video", "x", "two\nlines", {"venue": "word " * 60})
    lines = tree(Graph(node.id, {node.id: node}, (), ())).splitlines()
    assert lines[0] == "video two lines"
    assert len(lines) > 3
    assert max(map(len, lines)) <= 112
    assert " ".join(line.strip() for line in lines[1:]) == "venue " + " ".join(["word"] * 60)


def test_the_json_holds_everything_once():
    data = json.loads(json.dumps(graph_data(whole())))
    assert data["root"] == BOX.id
    assert [node["id"] for node in data["nodes"]] == list(whole().nodes)
    assert data["nodes"][1] == {
        "id": JOB.id,
        "kind": "job",
        "label": "12",
        "facts": {"annotator": "ann"},
        "events": [{"what": "accepted", "at": "2026", "by": "rev"}],
    }
    assert len(data["edges"]) == 6
    assert {(edge["source"], edge["target"]) for edge in data["edges"]} >= {(VIDEO.id, FRAMES[0].id)}
    assert data["left_out"] == [
        {"node": JOB.id, "direction": "up", "kind": "frame", "relation": "put into", "total": 400, "shown": 2}
    ]


def test_an_edge_that_was_walked_both_ways_is_one():
    edge = Edge(VIDEO.id, FRAMES[0].id, "sampled")
    both = Graph(VIDEO.id, {VIDEO.id: VIDEO, FRAMES[0].id: FRAMES[0]}, (edge,), (edge,))
    assert both.edges == (edge,)


LABEL = r'"(?:[^"#<>`\\&|{}\[\]%:;]|#\d+;|<br/>)*"'
NAME = r"[a-z]+_[0-9a-f]+"
STATEMENT = re.compile(
    rf"    (?:{NAME}\[{LABEL}\]|{NAME}\(\[{LABEL}\]\)|{NAME} (?:-->|-\.->)\|{LABEL}\| {NAME}"
    rf"|classDef asked stroke-width:3px|class {NAME} asked)"
)
"""All that a flowchart is made of; a label holds nothing that could end it or mean something."""


def read_back(text: str) -> list[str]:
    """The statements of a flowchart.

    Raises:
        AssertionError: it is none, or an arrow begins or ends at nothing.
    """
    head, *lines = text.rstrip("\n").split("\n")
    assert head == "flowchart LR"
    made = set()
    for line in lines:
        assert STATEMENT.fullmatch(line), line
        if arrow := re.fullmatch(rf"    ({NAME}) -.*\| ({NAME})", line):
            assert set(arrow.groups()) <= made
        else:
            made.add(line.strip().split("[")[0].split("(")[0])
    return lines


def test_the_flowchart_has_every_node_and_edge():
    lines = read_back(mermaid(whole()))
    assert sum("-->" in line for line in lines) == len(whole().edges)
    assert sum('["' in line and "([" not in line for line in lines) == len(whole().nodes)
    assert f'    job_{"c" * 32}["job<br/>12<br/>annotator ann<br/>accepted 2026"]' in lines
    assert '    more_1(["398 more frames"])' in lines
    assert f'    more_1 -.->|"put into"| job_{"c" * 32}' in lines
    assert lines[-1] == f"    class box_{'d' * 32} asked"


@given(st.text(), st.text())
def test_no_name_breaks_the_flowchart_or_the_tree(name, relation):
    root, other = Node("camera", name, name), Node("video", "v" + name, name)
    made = Graph(root.id, {root.id: root, other.id: other}, (), (Edge(root.id, other.id, relation),))
    read_back(mermaid(made))
    assert len(tree(made).split("\n")) == 4
