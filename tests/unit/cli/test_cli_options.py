"""Options are made of settings and only what was typed overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from pydantic import Field

from data_engine.cli.command import command, new_app
from data_engine.cli.options import options_of, overrides_of
from data_engine.errors import UsageError
from data_engine.stages.base import StageSettings
from data_engine.types import Report


class Example(StageSettings):
    method: Literal["scene-change", "interval"] = Field("scene-change", description="How frames are chosen")
    threshold: float = Field(0.85, gt=0, le=1, description="similarity below which a frame is kept")
    limit: int | None = Field(None, ge=1, description="Most frames.")
    only_new: bool = Field(True, description="Skip what is known.")
    classes: tuple[str, ...] = Field((), description="Names.")
    sizes: tuple[int, ...] = Field((320, 640), description="Sizes.")
    folder: Path | None = Field(None, description="A folder.")
    workers: int | Literal["auto"] = Field("auto", description="Processes.")


class Other(StageSettings):
    threshold: float = Field(0.5, description="Another threshold.")


def parsed(words: list[str]) -> dict[str, dict[str, Any]]:
    """What the options of ``Example`` override when these words are typed."""
    options = options_of({"example": Example})
    found: dict[str, dict[str, Any]] = {}

    def call(**values: Any) -> None:
        found.update(overrides_of(options, values, hint="the help"))

    import inspect

    call.__signature__ = inspect.Signature([option.parameter for option in options])
    call.__annotations__ = {option.parameter.name: option.parameter.annotation for option in options}
    app = new_app()
    app.command()(call)
    typer.main.get_command(app).main(words, standalone_mode=False)
    return found


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ([], {}),
        (["--method", "interval"], {"method": "interval"}),
        (["--threshold", "0.9"], {"threshold": 0.9}),
        (["--limit", "100"], {"limit": 100}),
        (["--only-new"], {"only_new": True}),
        (["--no-only-new"], {"only_new": False}),
        (["--classes", "person,helmet", "--classes", "no-helmet"], {"classes": ("person", "helmet", "no-helmet")}),
        (["--classes", "a, b", "--classes", "scale=[1,2]"], {"classes": ("a", "b", "scale=[1,2]")}),
        (["--classes", ""], {"classes": ()}),
        (["--sizes", "160,320"], {"sizes": (160, 320)}),
        (["--folder", "a b/ö"], {"folder": Path("a b/ö")}),
        (["--workers", "3"], {"workers": 3}),
        (["--workers", "auto"], {"workers": "auto"}),
        # The built-in value, typed, still overrides the file.
        (["--threshold", "0.85"], {"threshold": 0.85}),
    ],
)
def test_only_what_was_typed(words, given):
    assert parsed(words) == ({"example": given} if given else {})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--threshold", "1.5"], "--threshold 1.5: input should be less than or equal to 1"),
        (["--threshold", "0"], "--threshold 0.0: input should be greater than 0"),
        (["--threshold", "nan"], "--threshold nan: input should be less than or equal to 1"),
        (["--limit", "0"], "--limit 0: input should be greater than or equal to 1"),
        (
            ["--sizes", "160,big"],
            "--sizes 160,big: input should be a valid integer, unable to parse string as an integer",
        ),
    ],
)
def test_out_of_bounds_names_the_option(words, message):
    with pytest.raises(UsageError) as caught:
        parsed(words)
    assert caught.value.message == message
    assert caught.value.hint == "the help"


def test_help_shows_the_built_in_values_and_bounds(capsys):
    app = new_app()

    @command(app, "status", sections={"example": Example})
    def status(engine: Any) -> Report:
        """More about it."""
        raise AssertionError(engine)

    with pytest.raises(SystemExit):
        typer.main.get_command(app).main(["--help"], prog_name="dataengine status", terminal_width=200)
    text = " ".join(capsys.readouterr().out.split())
    assert "How frames are chosen. [default: scene-change]" in text
    assert "Similarity below which a frame is kept. [above 0; at most 1; default: 0.85]" in text
    assert "Most frames. [at least 1]" in text
    assert "--only-new / --no-only-new Skip what is known. [default: only-new]" in text
    assert "Sizes. [default: 320,640]" in text
    assert "INTEGER|auto" in text
    assert text.index("Settings (example)") < text.index("Every command")


def test_two_sections_may_not_want_one_option():
    with pytest.raises(ValueError, match="--threshold is a setting of example and of other"):
        options_of({"example": Example, "other": Other})


def test_prefixed_options_live_side_by_side():
    flags = [option.flag for option in options_of({"example": Example, "other": Other}, prefixed=True)]
    assert "--example-threshold" in flags
    assert "--other-threshold" in flags


def test_a_type_without_a_form_is_refused():
    class Deep(StageSettings):
        table: dict[str, int] = Field(default_factory=dict)

    with pytest.raises(TypeError, match="have no form as an option"):
        options_of({"deep": Deep})


def test_a_command_needs_an_engine_or_somebody_to_tell():
    with pytest.raises(TypeError, match="the first parameter of status is nobody"):

        @command(new_app(), "status")
        def status(nobody: Any) -> Report: ...


def test_arguments_are_explained_in_the_help(capsys):
    app = new_app()

    @command(app, "status")
    def status(engine: Any, *, job: Annotated[int, typer.Argument(help="The job's number.")]) -> Report:
        """More about it."""
        raise AssertionError(engine, job)

    with pytest.raises(SystemExit):
        typer.main.get_command(app).main(["--help"], prog_name="dataengine status")
    assert capsys.readouterr().out.count("The job's number.") == 1
