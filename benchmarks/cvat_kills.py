"""Whether ``upload``, ``export`` and ``sync --export`` happen exactly once at a CVAT server that fails, however often
the process is killed.

    python benchmarks/cvat_kills.py [upload] [export] [sync] [--frames 10000] [--kills 20] [--share 0.05] [--seed 0]

The server is that of the tests (``tests/cvat_server``), a process of its own.  One request in twenty fails, in a way
drawn from latency, 429 with ``Retry-After``, 500, 502, 504, connections reset before and after the request took
effect, work that no worker takes up and results that are gone.  Each command is ended by SIGKILL ``--kills`` times:
every second time at a random moment, else while one of its requests, drawn by its number, is with the server, before
or after it took effect.  Then the same command is run to its end, and what is there is compared:

* after ``upload``: the tasks, frames and boxes on the server with those that were to go up;
* after ``export``, which is killed in several copies of one workspace: files and database rows with those of the
  undisturbed export of the same jobs, and the dataset with the boxes of the server's accepted jobs;
* after ``sync --export``, while people hand in, accept, reject and change: the dataset with those boxes.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cvat_bench import (
    BOXES,
    ROOT,
    TASK_SIZE,
    USER,
    asked,
    environment,
    make_frames,
    test_server,
    upload_command,
    workspace,
)
from cvat_compare import compared, without_file
from cvat_people import People

sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from loop_state import differences, leftovers, state_of

EXPORT = [sys.executable, "-m", "data_engine", "export", "--quiet"]
SYNC = [sys.executable, "-m", "data_engine", "sync", "--quiet", "--export", "--reviewer", "rev", "--reviewer", "eva"]
PATIENCE_S = 900
ALL = ("upload", "export", "sync")


@dataclass
class Killer:
    """Runs commands against the failing server, and kills them."""

    url: str
    share: float
    rng: random.Random
    struck: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    at_requests: int = 0
    at_moments: int = 0
    lives: list[float] = field(default_factory=list)
    """Seconds that those that were killed had lived."""
    whole: float = 0.0
    """Seconds that the last took that was not."""

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return self.at_requests + self.at_moments

    def run(self, command: list[str], folder: Path, *, kill: bool, seconds: float, requests: int) -> bool:
        """Run a command once; whether it came to its end.

        Args:
            command: what to run.
            folder: where.
            kill: whether to kill it, where it does not end before.
            seconds: how long it takes by itself.
            requests: how many it makes by itself.
        """
        self.runs += 1
        order: dict[str, Any] = {"reset": self.rng.randrange(1 << 30), "mix": {"share": self.share, "seconds": 0.2}}
        held = kill and self.kills % 2 == 1
        if held:
            rule = {"kind": "hang", "skip": self.rng.randrange(requests), "next": 1, "after": self.rng.random() < 0.5}
            order["add"] = [rule]
        asked(self.url, "/__faults__", order)
        began = time.monotonic()
        until = began + (self.rng.uniform(0.2, seconds) if kill and not held else PATIENCE_S)
        process = subprocess.Popen(
            command, cwd=folder, env=environment(self.url, USER), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        hung = False
        while process.poll() is None and time.monotonic() < until and not hung:
            time.sleep(0.02)
            hung = held and asked(self.url, "/__faults__")["hanging"] > 0
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.at_requests += hung
            self.at_moments += not hung
            self.lives.append(time.monotonic() - began)
        else:
            self.whole = time.monotonic() - began
        assert process.stderr is not None
        error = process.stderr.read().decode()
        self.struck += Counter(asked(self.url, "/__faults__")["struck"])
        asked(self.url, "/__faults__", {"reset": 0})
        if process.returncode == 1:
            sys.exit(error)
        if process.returncode not in (0, -signal.SIGKILL):
            print(f"a run ended with {process.returncode}: {error[-400:].strip()}")
        return process.returncode == 0

    def told(self) -> str:
        """What happened, for people."""
        failures = ", ".join(f"{kind} {number}" for kind, number in sorted(self.struck.items()) if kind[:4] != "hang")
        lived = f"{min(self.lives, default=0.0):.1f} to {max(self.lives, default=0.0):.1f} s"
        return (
            f"{self.runs} runs, {self.kills} killed ({self.at_moments} at random moments, {self.at_requests} at a "
            f"request, after {lived}); failures: {failures}"
        )


def measured(url: str, command: list[str], folder: Path) -> tuple[float, int]:
    """Seconds and requests of an undisturbed run."""
    before = asked(url, "/__log__")
    last = before[-1]["time"] if before else ""
    began = time.monotonic()
    ended = subprocess.run(command, cwd=folder, env=environment(url, USER), capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"{command[3]} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    seconds = time.monotonic() - began
    return seconds, sum(row["time"] > last for row in asked(url, "/__log__"))


# --- upload -----------------------------------------------------------------------------------------------------------


def uploaded(args: argparse.Namespace, url: str, command: list[str], folder: Path) -> None:
    """Upload under kills, and tell what is missing or doubled."""
    killer, began = Killer(url, args.share, random.Random(args.seed)), time.monotonic()
    # Lives are short, or it is done before the last kill: 10,000 frames take a few hundred requests.
    while not killer.run(command, folder, kill=killer.kills < args.kills, seconds=args.longest, requests=20):
        if killer.runs > 4 * args.kills + 20:
            sys.exit("upload does not come to an end")
    print(f"\nupload: {killer.told()}; {time.monotonic() - began:.0f} s")
    tasks = asked(url, "/__state__")["tasks"]
    names = Counter(frame for task in tasks for frame in task["frames"])
    boxes = Counter((frame, label, *points) for task in tasks for frame, label, points, _more in task["boxes"])
    print(f"  tasks: {len(tasks)}, expected {-(-args.frames // TASK_SIZE)}")
    print(f"  frames: {len(names)}, missing {args.frames - len(names)}, doubled {sum(n > 1 for n in names.values())}")
    missing = args.frames * BOXES - len(boxes)
    print(f"  boxes: {sum(boxes.values())}, missing {missing}, doubled {sum(n > 1 for n in boxes.values())}")


# --- export -----------------------------------------------------------------------------------------------------------


def exported(args: argparse.Namespace, people: People, folder: Path) -> None:
    """Export under kills, each time from the same workspace until it came to its end, and compare."""
    numbers = [row["id"] for row in people.jobs()]
    people.rng.shuffle(numbers)
    for number in numbers[: len(numbers) // 2]:
        people.correct(number)
    # Three in five are accepted; the others stand in every other way.
    others = [("annotation", "new"), ("annotation", "completed"), ("validation", "completed"), ("acceptance", "new")]
    for at, number in enumerate(numbers):
        some = others[at % 20] if at % 20 < 4 else ("acceptance", "completed") if at % 20 < 16 else None
        if some is not None:
            people.put(number, assignee="ann" if some[0] == "annotation" else "rev", stage=some[0], state=some[1])
    people.remove_frame(numbers[4])
    alone = Path(shutil.copytree(folder, folder.with_name("undisturbed")))
    seconds, requests = measured(people.url, EXPORT, alone)
    print(f"\nexport: undisturbed {seconds:.1f} s, {requests} requests")
    expected, wrong, copies = state_of(alone), 0, 0
    killer, began = Killer(people.url, args.share, random.Random(args.seed + 1)), time.monotonic()
    # As long as it takes at a server that fails.
    killer.run(EXPORT, Path(shutil.copytree(folder, folder.with_name("failing"))), kill=False, seconds=0, requests=0)
    longest = killer.whole
    while killer.kills < args.kills or not copies:
        copies += 1
        copy = Path(shutil.copytree(folder, folder.with_name(f"killed {copies}")))
        while not killer.run(EXPORT, copy, kill=killer.kills < args.kills, seconds=longest, requests=requests):
            if killer.runs > 6 * args.kills + 20:
                sys.exit("export does not come to an end")
        different = [*differences(expected, state_of(copy)), *leftovers(copy)]
        wrong += bool(different)
        print(*(f"  copy {copies}: {line[:300]}" for line in different[:10]), sep="\n", end="")
    print(f"  {killer.told()}; {time.monotonic() - began:.0f} s; {longest:.1f} s without a kill")
    print(f"  {copies} workspaces, of which {wrong} differ from the undisturbed one")
    compared(people, copy)
    measured(people.url, EXPORT, folder)


# --- sync -------------------------------------------------------------------------------------------------------------


def synced(args: argparse.Namespace, people: People, folder: Path) -> None:
    """``sync --export`` under kills while people go on working, and compare."""
    killer, began = Killer(people.url, args.share, random.Random(args.seed + 2)), time.monotonic()
    seconds, requests = measured(people.url, SYNC, folder)
    rounds = 0
    while killer.kills < args.kills or not rounds:
        rounds += 1
        for row in people.jobs():
            people_work(people, row)
        while not killer.run(
            SYNC,
            folder,
            kill=killer.kills < args.kills,
            seconds=killer.whole or 2 * seconds,
            requests=max(requests, 100),
        ):
            if killer.runs > 6 * args.kills + 20:
                sys.exit("sync does not come to an end")
    measured(people.url, SYNC, folder)
    lacking = without_file(folder)
    measured(people.url, EXPORT, folder)
    print(f"\nsync --export: {killer.told()}; {rounds} rounds of people's work; {time.monotonic() - began:.0f} s")
    compared(people, folder)
    print(f"  versions without their file {lacking}, left half-written: {leftovers(folder) or 'nothing'}")


def people_work(people: People, row: dict[str, Any]) -> None:
    """What somebody does with a job in one round, if anything."""
    number, stage, state = row["id"], row["stage"], row["state"]
    chance = people.rng.random()
    if stage == "annotation" and chance < 0.5:
        people.put(number, assignee=people.rng.choice(("ann", "ben")))
        people.correct(number, 2)
        people.put(number, state="completed")
    elif stage == "validation" and row["assignee"] and state != "completed" and chance < 0.7:
        people.correct(number, 1)
        people.put(number, state="completed" if chance < 0.6 else "rejected")
    elif stage == "acceptance" and state == "completed" and chance < 0.06:
        # Rejected after all, or changed by somebody who should not.
        if chance < 0.03:
            people.put(number, state="rejected")
        else:
            people.correct(number, 1)


def main() -> None:
    """Run all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help="upload, export, sync: what is killed; all of them when not given")
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20, help="of each command")
    parser.add_argument("--longest", type=float, default=6.0, help="seconds before a kill of upload at most")
    parser.add_argument("--share", type=float, default=0.05, help="of the requests that fail")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    what = set(args.what or ALL)
    if not what <= set(ALL):
        parser.error(f"one of {', '.join(ALL)}")
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        proposals = make_frames(home / "frames", args.frames, (64, 48))
        folder = workspace(home / "workspace")
        with test_server(home) as url:
            people = People(url, USER, random.Random(args.seed))
            people.join("ann", "ben", "rev", "eva")
            command = upload_command(home / "frames", proposals)
            if "upload" in what:
                uploaded(args, url, command, folder)
            else:
                measured(url, command, folder)
            if "export" in what:
                exported(args, people, folder)
            if "sync" in what:
                synced(args, people, folder)


if __name__ == "__main__":
    main()
