"""The settings of ``sample``: what they take, what they refuse, and what makes another fingerprint."""

from __future__ import annotations

import pickle
from fractions import Fraction

import pytest
from pydantic import ValidationError

from data_engine.cli.options import options_of, overrides_of
from data_engine.errors import UsageError
from data_engine.settings import load
from data_engine.stages.sample_settings import SampleSettings


@pytest.mark.parametrize(
    "idle",
    [
        {"workers": 7},
        {"skip_near_duplicates": True},
        {"interval": 9},
        {"tiles_contrast": 9, "tiles_area": 9, "tiles_again": 9},
        {"content_threshold": 9, "content_min_change": 9},
    ],
)
def test_what_changes_no_frame_of_a_video_makes_no_other_fingerprint(idle):
    assert SampleSettings(**idle).fingerprint() == SampleSettings().fingerprint()


def test_another_methods_settings_make_no_other_fingerprint():
    for method in ("interval", "keyframes", "content"):
        plain = SampleSettings(method=method).fingerprint()
        assert SampleSettings(method=method, threshold=0.1, look_gap=3).fingerprint() == plain
    assert SampleSettings(method="tiles", look_gap=3).fingerprint() != SampleSettings(method="tiles").fingerprint()


def test_everything_else_makes_another_fingerprint():
    changes = (
        {"threshold": 0.8},
        {"min_gap": 1},
        {"max_gap": 1},
        {"look_gap": 0},
        {"ignore": ["0,0,9,9"]},
        {"limit": 5},
        {"per_video_limit": 5},
        {"budget": "5"},
        {"budget": "5%"},
        {"min_brightness": 0},
        {"min_sharpness": 0.5},
        {"frozen_after": 0},
        {"tolerance": 0},
        {"crop": False},
        {"quality": 80},
        {"names": "sequential"},
        *({"method": method} for method in ("tiles", "interval", "keyframes", "content")),
    )
    prints = {SampleSettings(**change).fingerprint() for change in changes} | {SampleSettings().fingerprint()}
    assert len(prints) == len(changes) + 1
    assert {name for change in changes for name in change} | {
        "interval",
        "tiles_contrast",
        "tiles_area",
        "tiles_again",
        "content_threshold",
        "content_min_change",
        "workers",
        "skip_near_duplicates",
    } == SampleSettings.model_fields.keys()


def test_the_order_of_ignored_parts_does_not_matter():
    one, other = (SampleSettings(ignore=parts) for parts in (["1,2,3,4", "0,0,9,9"], ["0,0,9,9", "1,2,3,4"]))
    assert one.fingerprint() == other.fingerprint()


@pytest.mark.parametrize(
    "bad",
    [
        {"method": "magic"},
        {"threshold": 1.1},
        {"threshold": float("nan")},
        {"interval": 0},
        {"interval": float("inf")},
        {"min_gap": -1},
        {"max_gap": 0},
        {"min_gap": 3, "max_gap": 2},
        {"look_gap": -0.1},
        {"limit": 0},
        {"per_video_limit": 0},
        {"tolerance": 65},
        {"tolerance": -1},
        {"min_brightness": 256},
        {"quality": 0},
        {"workers": -1},
        {"unknown": 1},
        {"limit": 5, "budget": 10},
        *({"budget": value} for value in ("", "0", "0%", "101%", "-1", "1.5", "x", "2 percent", True, 0, "1e3")),
        *(
            {"ignore": [value]}
            for value in ("", "1,2,3", "1,2,3,4,5", "1,2,0,4", "-1,2,3,4", "a,b,c,d", "1.5,2,3,4", [1, 2, 3, -4], 7)
        ),
    ],
)
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValidationError):
        SampleSettings(**bad)


@pytest.mark.parametrize(
    ("given", "most", "share"),
    [
        ("10000", 10000, None),
        (10000, 10000, None),
        (" 7 ", 7, None),
        ("2%", None, Fraction(1, 50)),
        ("0.5 %", None, Fraction(1, 200)),
    ],
)
def test_a_budget_is_a_number_or_a_share(given, most, share):
    settings = SampleSettings(budget=given)
    assert (settings.most, settings.share) == (most, share)


def test_every_setting_is_described_and_can_travel():
    assert all(field.description for field in SampleSettings.model_fields.values())
    settings = SampleSettings(limit=3, ignore=["1,2,3,4"])
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert SampleSettings.model_validate(settings.model_dump(mode="json")) == settings


# --- where they are typed ---------------------------------------------------------------------------------------------

REGIONS = ((10, 20, 300, 40), (0, 0, 9, 9))


def typed(**values):
    options = options_of({"sample": SampleSettings})
    return overrides_of(options, {f"sample__{name}": value for name, value in values.items()}, hint="see the help")


@pytest.mark.parametrize("words", [["10,20,300,40", "0,0,9,9"], ["10,20,300,40; 0,0,9,9"]])
def test_ignored_parts_on_the_command_line(words):
    assert typed(ignore=words) == {"sample": {"ignore": REGIONS}}


def test_a_wrong_value_on_the_command_line_is_named():
    with pytest.raises(
        UsageError, match=r"^--ignore 1,2,3: a region is left,top,width,height in whole pixels, not '1,2,3'"
    ):
        typed(ignore=["1,2,3"])
    with pytest.raises(UsageError, match=r"^--budget 2 percent: a budget is a number of frames"):
        typed(budget="2 percent")


def test_the_help_shows_the_form():
    options = {option.flag: option.parameter.annotation for option in options_of({"sample": SampleSettings})}
    assert options["--ignore"].__metadata__[0].metavar == "X,Y,W,H"
    assert options["--budget"].__metadata__[0].metavar == "FRAMES|SHARE%"


@pytest.mark.parametrize("text", ["10,20,300,40;0,0,9,9", ' ["10,20,300,40", "0,0,9,9"]', "[[10,20,300,40],[0,0,9,9]]"])
def test_ignored_parts_in_the_environment(text):
    assert load(None, {"DATAENGINE_SAMPLE_IGNORE": text}).sample.ignore == REGIONS


def test_settings_in_the_file(tmp_path):
    file = tmp_path / "dataengine.toml"
    file.write_text('[sample]\nignore = ["10,20,300,40", [0, 0, 9, 9]]\nbudget = 500\ntolerance = 4\n')
    settings = load(file, {}).sample
    assert (settings.ignore, settings.most, settings.tolerance) == (REGIONS, 500, 4)
    file.write_text("[sample]\nlimit = 3\n")
    with pytest.raises(UsageError, match="limit \\(the first frames\\) and budget \\(the best frames\\)"):
        load(file, {"DATAENGINE_SAMPLE_BUDGET": "9"})
