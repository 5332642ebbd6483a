"""The tests' CVAT server against what a real one said: 812 recorded requests, step by step, and 56 web-hooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cvat_replay
import pytest
from cvat_replay import Difference, Pair, Replay
from cvat_server import CvatServer
from cvat_server.records import Task

ACTORS = {
    13: "spare1",
    **dict.fromkeys([*range(267, 274), 276, *range(279, 290), *range(291, 299)], "annotator1"),
    **dict.fromkeys([*range(319, 326), 341, 342, *range(636, 639)], "annotator1"),
    **dict.fromkeys([290, *range(302, 311), *range(328, 330), *range(413, 419), 420, *range(699, 702)], "reviewer1"),
    **dict.fromkeys([635, 792], "labadmin-2"),
}
"""Who asked, where it was not the administrator; a recording without sessions doesn't say."""
TOKENS = {22: 19, 24: 19, 26: 20, 27: 20, 29: 20}
"""The step that made the access token that a step used."""
FRESH = 793
"""From here on the recorded server was a new one."""
STEPS = (
    "01-login",
    "02-users",
    "03-project",
    "04-task-create-upload",
    "05-import-coco",
    "06-assign-annotate",
    "07-review-reject",
    "08-review-accept",
    "09-list-jobs",
    "10-export-task-coco",
    "11-export-job-coco",
    "12-export-other",
    "13-deleted-frames",
    "14-track-and-polygon",
    "15-ground-truth-quality",
    "16-honeypots-consensus",
    "17-webhooks",
    "18-errors",
    "18b-extras",
    "19-delete",
    "19b-throttle",
    "21-queued-and-cancel",
)


@dataclass(frozen=True, slots=True)
class NotImitated:
    """Where the server differs on purpose."""

    where: str
    """A regular expression for ``<seq> <METHOD> <path>``."""
    field: str
    """A regular expression for the place in the answer."""
    why: str


NOT_IMITATED = (
    NotImitated(r"\d+ GET /api/server/about", r"\.description", "an advertisement"),
    NotImitated(r"8 GET /api/server/annotation/formats", r".*", "it knows the formats that this project may ask for"),
    NotImitated(r"\d+ GET /api/labels", r".*\.color", "any colour does; CVAT's come from its palette"),
    NotImitated(r"(50|800) GET /api/requests/.*", r"\.message", "texts of progress come and go while a task is made"),
    NotImitated(r"(426|432) GET .*/dataset/download", r".*", "no YOLO export"),
    NotImitated(r"(438|443) GET .*/dataset/download", r".*", "no CVAT XML export"),
    NotImitated(r"449 GET .*/dataset/download", r".*", "no Datumaro export"),
    NotImitated(r"481 GET .*/backup/download", r"size", "no backup"),
    NotImitated(r"564 GET .*/validation_layout", r"\.honeypot_(real_)?frames\[\d+\]", "honeypots are drawn"),
    NotImitated(r"566 GET .*/data/meta", r"\.frames\[\d+\]\.name", "a random order is one"),
    NotImitated(r"(572|748) GET .*/download", r".*instances_default\.json\..*", "the same random order, exported"),
    NotImitated(
        r"748 GET .*/download", r".*(_id|\.id)", "ids go by the names that came first, so by the same random order"
    ),
    NotImitated(r"609 GET .*/annotations/", r".*\.attributes\[\d+\]\.value", "replicas are merged without a vote"),
    NotImitated(r"61[04] \w+ /api/webhooks/.*", r".*\.request_duration", "how long a delivery took"),
)


class Receiver:
    """Takes web-hooks."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                got.append((headers, self.rfile.read(int(headers["content-length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/cvat"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    try:
        yield made
    finally:
        made.close()


@dataclass(slots=True)
class Played:
    pairs: list[Pair]
    differences: dict[int, list[Difference]]
    hooks: list[tuple[dict[str, str], bytes]]
    hook_url: str
    hosts: list[str]
    bugs: list[str]


@pytest.fixture(scope="module")
def played(shared: Path) -> Played:
    """The whole scenario, once."""
    pairs = cvat_replay.read(shared / "cvat" / "cvat-traffic.jsonl")
    archive = next(pair for pair in pairs if pair["request"]["path"] == "/api/tasks/6/data/meta")
    names = [frame["name"] for frame in archive["response"]["json"]["frames"]]
    found: dict[int, list[Difference]] = {}
    bugs: list[str] = []
    hosts = []
    with receiver() as hooks:
        for part in (pairs[: FRESH - 1], pairs[FRESH - 1 :]):
            with CvatServer(admin=cvat_replay.ADMIN, by_hand=True) as server:
                play = Replay(server, ACTORS, TOKENS, names)
                play.webhook_url = hooks.url
                hosts.append(server.url)
                for pair in part:
                    _meanwhile(server, pair["seq"])
                    found[pair["seq"]] = play.play(pair)
                bugs += server.bugs
        return Played(pairs, found, hooks.got, hooks.url, hosts, bugs)


def _meanwhile(server: CvatServer, seq: int) -> None:
    """What happened on the recorded server between two recorded requests."""
    state, throttle = server.state, server.throttle
    if seq == 775:
        # A task that was timed, and is now removed.
        number = state.next_id("task")
        state.tasks[number] = Task(number, "timing", 1, None, 2, state.now(), state.now())
    elif seq == 788:
        # A hundred anonymous requests, the first two of them 47 seconds ago.
        throttle.limit, throttle.clock = 100, lambda: 0.0
        throttle.times = [-47.5] * 2 + [-46.5] * 98
    elif seq == 789:
        throttle.clock = lambda: 13.0


def _name(pair: Pair) -> str:
    return f"{pair['seq']} {pair['request']['method']} {pair['request']['path']}"


def _excuse(pair: Pair, difference: Difference) -> NotImitated | None:
    for row in NOT_IMITATED:
        if re.fullmatch(row.where, _name(pair)) and re.fullmatch(row.field, difference.path):
            return row
    return None


@pytest.mark.parametrize("step", STEPS)
def test_answers_as_the_recorded_server_did(played: Played, step: str) -> None:
    """Status, content type, keys, types and values of every answer; the error bodies to the letter."""
    pairs = [pair for pair in played.pairs if pair["step"] == step]
    assert pairs
    unexplained = [
        f"{_name(pair)}: {one.path}: recorded {one.recorded!r}, ours {one.ours!r}"
        for pair in pairs
        for one in played.differences[pair["seq"]]
        if _excuse(pair, one) is None
    ]
    assert unexplained == []


def test_every_step_is_played_and_no_handler_broke(played: Played) -> None:
    assert len(played.pairs) == len(played.differences) == 812
    assert {pair["step"] for pair in played.pairs} == set(STEPS)
    assert played.bugs == []


def test_what_is_not_imitated_really_differs(played: Played) -> None:
    """The list of what is left out is not longer than it must be; most of what is left is seen to agree."""
    used = Counter(
        row
        for pair in played.pairs
        for difference in played.differences[pair["seq"]]
        if (row := _excuse(pair, difference)) is not None
    )
    assert [row for row in NOT_IMITATED if not used[row]] == []
    agreeing = sum(not rows for rows in played.differences.values())
    in_shape = sum(not any(row.shape for row in rows) for rows in played.differences.values())
    print(f"{agreeing} of {len(played.pairs)} pairs agree, {in_shape} in status and shape")
    assert in_shape >= 807


def test_delivers_the_recorded_webhooks(played: Played, shared: Path) -> None:
    """The same events in the same order, the same bodies, with a signature over each."""
    recorded = [json.loads(line)["body"] for line in (shared / "cvat" / "webhook-deliveries.jsonl").open()]
    ours = [
        json.loads(body.replace(played.hook_url.encode(), cvat_replay.WEBHOOK_URL.encode())) for _, body in played.hooks
    ]
    assert [body["event"] for body in ours] == [body["event"] for body in recorded]
    differing = [
        f"{number} {body['event']}: {one.path}: recorded {one.recorded!r}, ours {one.ours!r}"
        for number, (body, own) in enumerate(zip(recorded, ours, strict=True), 1)
        for one in cvat_replay.compared(number, body, own, played.hosts[0])
    ]
    assert differing == []
    for headers, body in played.hooks:
        signature = hmac.new(b"<SECRET>", body, hashlib.sha256).hexdigest()
        assert headers["x-signature-256"] == f"sha256={signature}"
