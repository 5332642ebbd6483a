"""The documentation can't lie: its commands parse, its links lead somewhere, its tables are those of the code."""

from __future__ import annotations

import inspect
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from data_engine import errors
from data_engine.app.annotation import webhook_listener
from data_engine.app.init import folders
from data_engine.cli import main as command_line
from data_engine.cli.reference import reference
from data_engine.lineage.tables import metadata
from data_engine.settings import CvatSettings, load, variable_of
from data_engine.stages import FLOW
from data_engine.stages.sync import SyncSettings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
CVAT = ROOT / "docs" / "cvat.md"
PAGES = [README, ROOT / "workspace" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def table_after(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its first two rows."""
    text = f"\n{page.read_text('utf-8')}".split(f"\n{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table is not None
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()]
    return rows[2:]


class ReachedError(Exception):
    """The command line was understood, its settings included."""


@pytest.fixture
def understood(monkeypatch, tmp_path):
    """Every command ends where its work would begin."""
    import data_engine.app.engine as engine
    import data_engine.app.init as init
    import data_engine.demo.rounds as rounds

    def reached(*_arguments, overrides=None, environ=None, **_options):
        # Also what only the settings know: bounds, and values that exclude one another.
        load(None, environ or {}, overrides)
        raise ReachedError

    monkeypatch.setattr(engine, "open_engine", reached)
    monkeypatch.setattr(init, "init", reached)
    monkeypatch.setattr(rounds, "demo", reached)
    monkeypatch.chdir(tmp_path)


CALLS = [words for words in commands(README) if words[0] == "dataengine" or words[0].startswith("scripts/")]
ON_CVAT = [words for words in commands(CVAT) if words[0] == "dataengine"]


@pytest.mark.parametrize("words", CALLS + ON_CVAT, ids=" ".join)
def test_the_commands_are_understood(words, understood, monkeypatch):
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(ReachedError):
        _start(words[0])


def _start(program: str) -> None:
    """As a shell does; what ends before the work begins fails the test."""
    if program == "dataengine":
        raise SystemExit(command_line.main())
    runpy.run_path(str(ROOT / program), run_name="__main__")


def test_a_wrong_option_would_be_seen(understood, capsys):
    assert command_line.main(["filter", "--budgett", "3"]) == 2
    assert command_line.main(["filter", "--budget", "0"]) == 2
    assert "no such option" in capsys.readouterr().err


def test_the_readme_shows_the_whole_loop():
    typed = {words[1] for words in CALLS if words[0] == "dataengine"}
    assert typed >= {step.command for step in FLOW} | {"init", "run", "status", "db"}
    scripts = [words[0].removeprefix("scripts/") for words in CALLS if words[0].startswith("scripts/")]
    assert list(dict.fromkeys(scripts)) == [step.script for step in FLOW if step.script]


def test_the_readme_s_make_targets_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = [words[1] for words in commands(README) if words[0] == "make"]
    assert named == ["demo", "test"]
    assert set(named) <= targets


def test_the_readme_s_extras_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = {name for words in re.findall(r"\.\[([a-z,]+)\]", README.read_text("utf-8")) for name in words.split(",")}
    assert named
    assert named <= set(extras)


def test_nothing_is_installed_from_the_package_index_by_this_program_s_name():
    """There it names something of a stranger's."""
    texts = [*PAGES, ROOT / "Makefile", ROOT / "docker-compose.yml", *(ROOT / "data_engine").rglob("*.py")]
    texts += [*(ROOT / "scripts").rglob("*.py"), *(ROOT / "benchmarks").glob("*"), *(ROOT / "tests").rglob("*.py")]
    for file in (file for file in texts if file.is_file() and file != Path(__file__)):
        found = re.search(r"dataengine\[|pip install [^\n]*(?<!of )['\"]?\bdata[-_]?engine\b", file.read_text("utf-8"))
        assert found is None, f"{file.relative_to(ROOT)}: {found}"


def test_the_readme_s_settings_are_settings(tmp_path):
    shown = blocks(README, "toml") + blocks(CVAT, "toml")
    assert len(shown) > 2
    for text in shown:
        file = tmp_path / "dataengine.toml"
        file.write_text(text, "utf-8")
        load(file, {}, {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_a_team_is_told_of_all_its_settings_and_of_the_listener_s_limits():
    shown = tomllib.loads("".join(blocks(CVAT, "toml")))
    text = CVAT.read_text("utf-8")
    for section, model in (("cvat", CvatSettings), ("sync", SyncSettings)):
        secret = {"token", "username", "password", "webhook_secret"}
        assert set(shown[section]) == set(model.model_fields) - secret
        assert all(variable_of(section, name) in text for name in secret & set(model.model_fields))
    assert f"{webhook_listener.MOST_AT_ONCE}\nconnections at a time" in text
    assert f"{webhook_listener.PATIENCE_S:.0f} seconds from the connection" in text
    assert f"{webhook_listener.MOST_BYTES >> 20} MiB a delivery" in text


def test_the_exit_codes_are_those_of_the_errors():
    rows = table_after(README, "## Exit codes")
    told = {name: int(code) for code, _when, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert told == {
        name: kind.exit_code
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.DataEngineError)
    }
    codes = [int(row[0]) for row in rows]
    assert codes == sorted({0, *told.values(), command_line.INTERRUPTED, command_line.STDOUT_CLOSED})


@pytest.mark.parametrize(
    ("page", "heading"),
    [(README, "## Where things lie"), (ROOT / "workspace" / "README.md", "# The workspace of this checkout")],
    ids=["README", "workspace"],
)
def test_the_folders_are_those_of_a_workspace(page, heading):
    named = [place for row in table_after(page, heading) for place in re.findall(r"`([^`]+)`", row[0])]
    files = {place for step in FLOW for place in step.places if not place.endswith("/")}
    assert set(named) == {*folders(), *files, ".dataengine/"}
    assert len(named) == len(set(named))
    in_flow = [place for step in FLOW for place in step.places]
    assert [place for place in named if place in in_flow] == in_flow


def test_the_architecture_s_flow_is_the_table():
    rows = table_after(ROOT / "docs" / "architecture.md", "## The flow")
    assert rows == [
        [
            str(step.number or ""),
            f"`{step.command}`",
            step.consumes,
            step.produces,
            ", ".join(f"`{place}`" for place in step.places),
        ]
        for step in FLOW
    ]


def test_the_architecture_s_layers_are_those_that_are_checked():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert blocks(ROOT / "docs" / "architecture.md", "text") == ["\n".join(layers) + "\n"]


def test_the_architecture_names_every_table():
    rows = table_after(ROOT / "docs" / "architecture.md", "## The life of a box")
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    assert named == set(metadata.tables)


def test_every_decision_has_its_parts():
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        text = page.read_text("utf-8")
        assert text.startswith(f"# {page.name[:4]}: ")
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_the_reference_is_that_of_the_commands():
    assert (ROOT / "docs" / "cli.md").read_text("utf-8") == reference(), (
        "write it anew: python -m data_engine.cli.reference > docs/cli.md"
    )


def test_the_reference_does_not_depend_on_the_terminal():
    made = subprocess.run(
        [sys.executable, "-m", "data_engine.cli.reference"],
        cwd=ROOT,
        env={"COLUMNS": "40", "PATH": "", "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=True,
    )
    assert made.stdout.decode() == reference()


def test_no_page_names_a_machine_s_paths():
    for page in PAGES:
        assert not re.search(r"(?<![\w.])/(?:tmp|home|root|work|Users)/", page.read_text("utf-8")), page


def test_the_locked_versions_name_no_host():
    for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines():
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[^\s;/]+(?: ; [^/]+)?", line), line
