"""What every executor must do, and what only worker processes can get wrong."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from data_engine.errors import DamagedInputError, ServiceError
from data_engine.executors.inline import InlineExecutor
from data_engine.executors.processes import ProcessExecutor
from data_engine.storage.local import LocalStorage

if TYPE_CHECKING:
    from collections.abc import Callable

    from data_engine.ports import Executor

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(params=["inline", "processes"])
def executor(request: pytest.FixtureRequest) -> Executor:
    return InlineExecutor() if request.param == "inline" else ProcessExecutor(2)


# --- functions that workers can import --------------------------------------------------------------------------------


def double(number: int) -> int:
    return 2 * number


def slow_first(number: int) -> int:
    if number == 0:
        time.sleep(0.5)
    return number


def grow(size: int) -> bytes:
    return bytes(size)


def fail_at(bad: int, number: int) -> int:
    if number == bad:
        raise DamagedInputError(f"input {number} is damaged", hint="mend it")
    return number


class UnportableError(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def fail_unportably(number: int) -> int:
    raise UnportableError(number, number)


def bug(number: int) -> float:
    return number / 0


def kill_myself(bad: int, number: int) -> int:
    if number == bad:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def count_up(number: int, report: Callable[[int], None]) -> int:
    for amount in range(1, number + 1):
        report(amount)
    return number


def report_and_wait(folder: str, number: int, report: Callable[[int], None]) -> int:
    report(number)
    wait_for((Path(folder) / "heard").exists)
    return number


def report_and_fail(bad: int, number: int, report: Callable[[int], None]) -> int:
    report(10)
    report(1)
    if number == bad:
        raise DamagedInputError(f"input {number} is damaged")
    return number


def report_for_ever(folder: str, number: int, report: Callable[[int], None]) -> int:
    record_pid(folder, number)
    while number:
        report(1)
    return number


def report_and_die(number: int, report: Callable[[int], None]) -> int:
    report(7)
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def lambda_result(_number: int) -> object:
    return lambda: None


def record_pid(folder: str, _number: int) -> int:
    (Path(folder) / str(os.getpid())).touch()
    return os.getpid()


def record_and_wait(folder: str, number: int) -> int:
    record_pid(folder, number)
    time.sleep(60)
    return number


def write_for_ever(folder: str, number: int) -> int:
    if number == 0:
        return number
    with LocalStorage(Path(folder)).writing("a/x.jpg") as path:
        path.write_bytes(b"half")
        (Path(folder) / "writing").touch()
        time.sleep(60)
    return number


def thread_limits(_number: int) -> tuple[str | None, int]:
    import cv2

    return os.environ.get("OMP_NUM_THREADS"), cv2.getNumThreads()


# --- every executor ---------------------------------------------------------------------------------------------------


@pytest.mark.required
def test_results_come_in_the_order_of_the_inputs(executor: Executor) -> None:
    assert list(executor.map(slow_first, range(7))) == list(range(7))
    assert list(executor.map(double, [])) == []


def test_million_items_are_not_taken_at_once(executor: Executor) -> None:
    taken = 0

    def items() -> itertools.count[int]:
        nonlocal taken
        for number in range(1_000_000):
            taken += 1
            yield number  # type: ignore[misc]

    results = executor.map(double, items())
    assert taken == 0
    assert [next(results) for _ in range(10)] == [2 * number for number in range(10)]
    assert taken <= 10 + 8, "look-ahead is four a worker"
    results.close()  # type: ignore[attr-defined]
    assert list(results) == []


def test_large_inputs_and_results_pass(executor: Executor) -> None:
    sizes = [3_000_000, 10, 5_000_000]
    assert [len(data) for data in executor.map(grow, sizes)] == sizes
    assert list(executor.map(len, [bytes(size) for size in sizes])) == sizes


def test_expected_errors_keep_class_message_and_hint_and_come_in_their_turn(executor: Executor) -> None:
    results = executor.map(partial(fail_at, 3), range(100))
    assert list(itertools.islice(results, 3)) == [0, 1, 2]
    with pytest.raises(DamagedInputError) as caught:
        next(results)
    assert (caught.value.message, caught.value.hint) == ("input 3 is damaged", "mend it")
    assert next(results, None) is None


def test_bugs_keep_their_class_and_say_where(executor: Executor) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(executor.map(bug, [1]))
    shown = "".join(getattr(caught.value, "__notes__", [])) + str(caught.traceback[-1])
    assert "return number / 0" in shown or "bug" in shown


def test_an_error_of_the_inputs_comes_after_the_results_before_it(executor: Executor) -> None:
    def items() -> itertools.count[int]:
        yield 1  # type: ignore[misc]
        yield 2  # type: ignore[misc]
        raise DamagedInputError("the list ends here")

    results = executor.map(double, items())
    assert [next(results), next(results)] == [2, 4]
    with pytest.raises(DamagedInputError, match="the list ends here"):
        next(results)


def test_an_exception_of_the_consumer_stops_the_work(executor: Executor) -> None:
    def consume() -> None:
        for result in executor.map(double, itertools.count()):
            if result == 8:
                raise KeyError(result)

    with pytest.raises(KeyError, match="8"):
        consume()
    assert multiprocessing.active_children() == []


def test_closing_early_leaves_no_process(executor: Executor, tmp_path: Path) -> None:
    results = executor.map(partial(record_pid, str(tmp_path)), itertools.count())
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []
    assert not any(alive(int(file.name)) for file in tmp_path.iterdir() if int(file.name) != os.getpid())


@pytest.mark.required
def test_every_reported_amount_arrives_once_and_before_its_result(executor: Executor) -> None:
    """Also thousands of them, which is more than a pipe holds."""
    told: list[int] = []
    results = executor.map(count_up, [1, 0, 5000, 3, 2000], advance=told.append)
    assert told == []
    for number in (1, 0, 5000, 3, 2000):
        assert next(results) == number
        assert sum(told) >= number * (number + 1) // 2
    assert next(results, None) is None
    assert sorted(told) == sorted(amount for number in (1, 5000, 3, 2000) for amount in range(1, number + 1))


def test_reports_come_before_the_result_is_there(executor: Executor, tmp_path: Path) -> None:
    """The function returns only after its report was heard: a parent that waits for the first result must listen."""

    def hear(amount: int) -> None:
        assert amount == 5
        (tmp_path / "heard").touch()

    assert list(executor.map(partial(report_and_wait, str(tmp_path)), [5], advance=hear)) == [5]


def test_what_was_reported_before_an_error_counts(executor: Executor) -> None:
    told: list[int] = []
    results = executor.map(partial(report_and_fail, 2), [0, 1, 2], advance=told.append)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(DamagedInputError, match="input 2"):
        next(results)
    assert told.count(10) == told.count(1) == 3


def test_an_exception_of_the_listener_stops_the_work(executor: Executor) -> None:
    def hear(amount: int) -> None:
        raise KeyError(amount)

    with pytest.raises(KeyError):
        list(executor.map(count_up, itertools.repeat(3), advance=hear))
    assert multiprocessing.active_children() == []


# --- worker processes -------------------------------------------------------------------------------------------------


def test_work_runs_in_other_processes_and_no_more_than_needed(tmp_path: Path) -> None:
    pids = list(ProcessExecutor(2).map(partial(record_pid, str(tmp_path)), range(8)))
    assert os.getpid() not in pids
    assert len(set(pids)) <= 2
    assert multiprocessing.active_children() == []
    assert not any(alive(pid) for pid in pids)
    assert len(set(ProcessExecutor(8).map(partial(record_pid, str(tmp_path)), [0]))) == 1


@pytest.mark.required
def test_killed_worker_is_a_service_error_that_names_it() -> None:
    results = ProcessExecutor(2).map(partial(kill_myself, 3), range(100))
    assert list(itertools.islice(results, 3)) == [0, 1, 2]
    with pytest.raises(ServiceError, match=r"worker process \d+ was killed by SIGKILL while working on 3 ") as caught:
        next(results)
    assert caught.value.hint == "the machine may be short of memory: run the same command again with fewer workers"
    assert multiprocessing.active_children() == []


def test_errors_that_cannot_cross_tell_their_class() -> None:
    with pytest.raises(RuntimeError, match=r"^UnportableError: 5 and 5\n"):
        list(ProcessExecutor(1).map(fail_unportably, [5]))
    with pytest.raises(Exception, match="lambda"):
        list(ProcessExecutor(1).map(lambda_result, [5]))
    with pytest.raises(Exception, match=r"[Ll]ocal|pickle"):
        list(ProcessExecutor(1).map(lambda number: number, [5]))
    assert multiprocessing.active_children() == []


def test_workers_share_the_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        monkeypatch.delenv(name, raising=False)
    cpus = len(os.sched_getaffinity(0))
    assert list(ProcessExecutor(cpus).map(thread_limits, [0])) == [("1", 1)]
    assert list(ProcessExecutor(1).map(thread_limits, [0])) == [(str(cpus), cpus)]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert next(iter(ProcessExecutor(cpus).map(thread_limits, [0])))[0] == "3"


def test_stopped_workers_remove_their_temporary_files(tmp_path: Path) -> None:
    results = ProcessExecutor(2).map(partial(write_for_ever, str(tmp_path)), range(2))
    assert next(results) == 0
    wait_for((tmp_path / "writing").exists)
    results.close()  # type: ignore[attr-defined]
    assert os.listdir(tmp_path / "a") == []


@pytest.mark.parametrize("sizes", [{"workers": 0}, {"workers": 1, "look_ahead": 0}])
def test_numbers_below_one_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ProcessExecutor(**sizes)


def test_closing_stops_workers_that_nobody_listens_to_any_more(tmp_path: Path) -> None:
    told: list[int] = []
    results = ProcessExecutor(2).map(partial(report_for_ever, str(tmp_path)), range(3), advance=told.append)
    assert next(results) == 0
    wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
    results.close()  # type: ignore[attr-defined]
    heard = len(told)
    assert multiprocessing.active_children() == []
    assert not any(alive(int(file.name)) for file in tmp_path.iterdir())
    assert len(told) == heard


def test_reports_of_a_worker_that_was_killed_count() -> None:
    told: list[int] = []
    with pytest.raises(ServiceError, match="killed by SIGKILL"):
        list(ProcessExecutor(2).map(report_and_die, [1], advance=told.append))
    assert told == [7]


PARENT = """
import sys
from functools import partial
sys.path.insert(0, {here!r})
import test_executors as t
if __name__ == "__main__":
    t.Path({ready!r}).touch()
    print(list(t.ProcessExecutor(2).map(partial(t.record_and_wait, {folder!r}), range(4))))
"""


@pytest.mark.required
@pytest.mark.parametrize("how", ["interrupt the group", "kill the parent", "terminate the parent"])
def test_workers_never_outlive_their_parent(how: str, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.mkdir()
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(here=str(Path(__file__).parent), folder=str(pids), ready=str(tmp_path / "ready")))
    root = Path(__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    wait_for(lambda: len(list(pids.iterdir())) == 2)
    workers = [int(file.name) for file in pids.iterdir()]
    if how == "interrupt the group":
        os.killpg(parent.pid, signal.SIGINT)
    else:
        parent.send_signal(signal.SIGKILL if how == "kill the parent" else signal.SIGTERM)
    output, errors = parent.communicate(timeout=60)
    assert output == b""
    wait_for(lambda: not any(alive(pid) for pid in workers))
    if how == "interrupt the group":
        # One traceback, the parent's: the workers say nothing.
        assert errors.count(b"KeyboardInterrupt") == 1
        assert errors.count(b"Traceback") == 1
    else:
        assert errors == b""


@pytest.mark.required
def test_interrupt_while_workers_start(tmp_path: Path) -> None:
    """The signal may come at any moment, also before a worker can ignore it."""
    script, ready, pids = tmp_path / "parent.py", tmp_path / "ready", tmp_path / "pids"
    pids.mkdir()
    script.write_text(PARENT.format(here=str(Path(__file__).parent), folder=str(pids), ready=str(ready)))
    for delay in (0.0, 0.02, 0.05, 0.1, 0.2, 0.3):
        ready.unlink(missing_ok=True)
        parent = subprocess.Popen(
            [sys.executable, str(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        wait_for(ready.exists)
        time.sleep(delay)
        os.killpg(parent.pid, signal.SIGINT)
        output, errors = parent.communicate(timeout=60)
        assert (parent.returncode, output) == (-signal.SIGINT, b"")
        assert b"spawn_main" not in errors, errors.decode()
        wait_for(lambda group=parent.pid: not group_alive(group))


def alive(pid: int) -> bool:
    try:
        # A zombie, whose new parent has not looked yet, is not alive.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def group_alive(group: int) -> bool:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(process_group) == group and state != "Z":
            return True
    return False


def wait_for(condition: object, limit_s: float = 60) -> None:
    """Give up only after a long time: how long it takes is not what is tested."""
    deadline = time.monotonic() + limit_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)
