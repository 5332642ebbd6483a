"""Settings: which of four places wins, what every mistake is told, and that no secret is ever repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_engine.errors import UsageError
from data_engine.settings import Settings, load, variable_of


@pytest.fixture
def file(tmp_path: Path):
    def written(text: str | bytes) -> Path:
        path = tmp_path / "dataengine.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return written


def test_without_anything_every_section_has_its_defaults(tmp_path: Path) -> None:
    assert load(None, {}) == Settings()
    assert load(tmp_path / "dataengine.toml", {}) == Settings()
    assert load(None, {"PATH": "/bin", "DATAENGINE": "x", "DATAENGINE_TEST_SERVER": "x"}) == Settings()


@pytest.mark.required
@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        (
            "DATAENGINE_SAMPEL_METHOD",
            "DATAENGINE_SAMPEL_METHOD: there is no section 'sampel'",
            "did you mean DATAENGINE_SAMPLE_METHOD?",
        ),
        (
            "DATAENGINE_ZZZ_METHOD",
            "DATAENGINE_ZZZ_METHOD: there is no section 'zzz'",
            "see every setting: dataengine.toml",
        ),
        (
            "DATAENGINE_SAMPLE",
            "DATAENGINE_SAMPLE names no setting",
            "DATAENGINE_<SECTION>_<NAME>, as in dataengine.toml",
        ),
    ],
)
def test_an_unknown_name_in_the_environment_is_refused(name: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(None, {name: "tiles"})
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("section", "key", "built_in", "in_file", "in_environment", "typed"),
    [
        ("sample", "threshold", 0.85, ("0.7", 0.7), ("0.6", 0.6), 0.5),
        ("sample", "limit", None, ("7", 7), ("6", 6), 5),
        ("sample", "method", "scene-change", ("'tiles'", "tiles"), ("interval", "interval"), "scene-change"),
        ("filter", "only_hard", False, ("true", True), ("false", False), True),
        ("upload", "task_name", None, ("'Night'", "Night"), ("Day", "Day"), "Dusk"),
        ("upload", "assignee", (), ("['a', 'b']", ("a", "b")), ("c, d", ("c", "d")), ("e",)),
        ("workspace", "classes", (), ("['a', 'b']", ("a", "b")), ('["c", "d"]', ("c", "d")), ("e",)),
        ("retrain", "extra", (), ("['a=1']", ("a=1",)), ('["b=[1, 2]"]', ("b=[1, 2]",)), ("c=3",)),
    ],
)
def test_the_nearest_place_wins(section, key, built_in, in_file, in_environment, typed, file) -> None:
    path = file(f"[{section}]\n{key} = {in_file[0]}\n")
    environ = {variable_of(section, key): in_environment[0]}

    def value(*arguments: Any) -> object:
        return getattr(getattr(load(*arguments), section), key)

    assert value(None, {}) == built_in
    assert value(path, {}) == in_file[1]
    assert value(path, environ) == in_environment[1]
    assert value(path, environ, {section: {key: typed}}) == typed
    # Each place alone, so that none counts only because another is there.
    assert value(None, environ) == in_environment[1]
    assert value(None, {}, {section: {key: typed}}) == typed


def test_places_are_joined_setting_by_setting(file) -> None:
    path = file("[sample]\nthreshold = 0.7\nquality = 80\n[filter]\nbudget = 5\n")
    settings = load(path, {"DATAENGINE_SAMPLE_QUALITY": "70"}, {"sample": {"min_gap": 2.0}})
    assert (settings.sample.threshold, settings.sample.quality, settings.sample.min_gap) == (0.7, 70, 2.0)
    assert settings.filter.budget == 5


def test_an_empty_variable_is_not_given(file) -> None:
    path = file("[sample]\nlimit = 7\n[database]\nurl = 'postgresql://h/d'\n")
    settings = load(path, {"DATAENGINE_SAMPLE_LIMIT": "", "DATAENGINE_DATABASE_URL": ""})
    assert settings.sample.limit == 7
    assert settings.database.url is not None
    assert settings.database.url.get_secret_value() == "postgresql://h/d"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("person", ("person",)),
        ("person,helmet", ("person", "helmet")),
        (" person , no helmet ,", ("person", "no helmet")),
        ('["a, b", "c"]', ("a, b", "c")),
        (' ["Fußgänger"]', ("Fußgänger",)),
        ("[]", ()),
    ],
)
def test_lists_in_the_environment(text: str, names: tuple[str, ...]) -> None:
    environ = {"DATAENGINE_WORKSPACE_CLASSES": text, "DATAENGINE_PREDICT_CLASSES": text}
    settings = load(None, environ)
    assert (settings.workspace.classes, settings.predict.classes) == (names, names)


@pytest.mark.parametrize("text", ["[1/2] night", "{camera}", "a,b", '"quoted"', "3"])
def test_plain_text_in_the_environment_is_taken_as_it_is(text: str) -> None:
    assert load(None, {"DATAENGINE_UPLOAD_TASK_NAME": text}).upload.task_name == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sampel]\n", "dataengine.toml: there is no section 'sampel'"),
        ("[sample]\nthreshhold = 1\n", "dataengine.toml: there is no setting 'sample.threshhold'"),
        ("sample = 3\n", "dataengine.toml: sample must be a section, [sample]"),
        (
            "[sample]\nthreshold = 2\n",
            "dataengine.toml: sample.threshold: Input should be less than or equal to 1 (got 2)",
        ),
        (
            "[sample]\nthreshold = 'high'\n",
            "dataengine.toml: sample.threshold: Input should be a valid number, unable to parse string as a number "
            "(got 'high')",
        ),
        (
            "[sample]\nmethod = 'guess'\n",
            "dataengine.toml: sample.method: Input should be 'scene-change', 'tiles', 'interval', 'keyframes' or "
            "'content' (got 'guess')",
        ),
        (
            "[annotation]\nbackend = 'paper'\n",
            "dataengine.toml: annotation.backend: Input should be 'local' or 'cvat' (got 'paper')",
        ),
        ("[workspace]\nclasses = 5\n", "dataengine.toml: workspace.classes: Input should be a list (got 5)"),
        (
            "[workspace]\nclasses = ['a', 1]\n",
            "dataengine.toml: workspace.classes.1: Input should be a valid string (got 1)",
        ),
        (
            "[workspace]\nclasses = ['a', 'b', 'a']\n",
            "dataengine.toml: workspace.classes: class 'a' is named twice (got ['a', 'b', 'a'])",
        ),
        (
            "[workspace]\nclasses = ['a', ' ']\n",
            "dataengine.toml: workspace.classes: the name of a class must not be empty (got ['a', ' '])",
        ),
        (
            "[upload]\ntask_name = ' '\n",
            "dataengine.toml: upload.task_name: the name of a task must not be empty (got ' ')",
        ),
        (
            "[filter]\nfloor = 0.5\nconfidence_threshold = 0.4\n",
            "filter: floor (0.5) must be lower than the confidence threshold (0.4)",
        ),
        ("[sample\n", "dataengine.toml cannot be read: Expected ']' at the end of a table declaration"),
        (b"\xff\xfe[sample]\n", "dataengine.toml cannot be read: 'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_what_a_wrong_file_is_told(text: str | bytes, message: str, file) -> None:
    with pytest.raises(UsageError) as caught:
        load(file(text), {})
    assert caught.value.exit_code == 2
    # A parser's own position comes after what we vouch for.
    assert caught.value.message.startswith(message)
    if "cannot be read" not in message:
        assert caught.value.message == message


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("SAMPLE_THRESHHOLD", "1", "DATAENGINE_SAMPLE_THRESHHOLD: there is no setting 'sample.threshhold'"),
        (
            "SAMPLE_LIMIT",
            "0",
            "DATAENGINE_SAMPLE_LIMIT: sample.limit: Input should be greater than or equal to 1 (got '0')",
        ),
        (
            "FILTER_ONLY_HARD",
            "perhaps",
            "DATAENGINE_FILTER_ONLY_HARD: filter.only_hard: Input should be a valid boolean, unable to interpret input "
            "(got 'perhaps')",
        ),
        (
            "UPLOAD_ASSIGNEE",
            '["a", ""]',
            "DATAENGINE_UPLOAD_ASSIGNEE: upload.assignee: an assignee must not be empty (got ['a', ''])",
        ),
        (
            "UPLOAD_ASSIGNEE",
            '["a"',
            "DATAENGINE_UPLOAD_ASSIGNEE is not valid JSON: Expecting ',' delimiter: line 1 column 5 (char 4)",
        ),
    ],
)
def test_what_a_wrong_variable_is_told(name: str, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(None, {f"DATAENGINE_{name}": text})
    assert caught.value.message == message


def test_a_mistake_is_told_where_the_value_that_counts_was_given(file) -> None:
    path = file("[sample]\nthreshold = 7\n")
    with pytest.raises(UsageError, match=r"^the command line: sample.threshold: .* \(got 9\)$"):
        load(path, {"DATAENGINE_SAMPLE_THRESHOLD": "8"}, {"sample": {"threshold": 9}})
    # What is overridden does no harm.
    assert load(path, {"DATAENGINE_SAMPLE_THRESHOLD": "0.5"}).sample.threshold == 0.5


@pytest.mark.parametrize("text", ["url = ['postgresql://u:geheim@h/d']", "url = {a = 'geheim'}", "urls = 'geheim'"])
def test_a_secret_is_never_repeated(text: str, file) -> None:
    with pytest.raises(UsageError) as caught:
        load(file(f"[database]\n{text}\n"), {})
    assert "geheim" not in str(caught.value)
    assert str(caught.value).startswith("dataengine.toml: ")


@pytest.mark.parametrize(
    ("section", "text", "told"),
    [
        ("team", "password = 'geheim'", "team.password: must have at least 8 characters"),
        ("cvat", "url = 'http://[::1'", "cvat.url: the address cannot be read"),
        ("cvat", "token = 4711", "cvat.token: Input should be a valid string"),
        ("cvat", "password = ['geheim', 4711]", "cvat.password: Input should be a valid string"),
        ("cvat", "webhook_secret = 4711", "cvat.webhook_secret: Input should be a valid string"),
    ],
)
def test_a_secret_that_cannot_be_one_is_not_repeated(section: str, text: str, told: str, file) -> None:
    with pytest.raises(UsageError) as caught:
        load(file(f"[{section}]\n{text}\n"), {})
    assert str(caught.value) == f"dataengine.toml: {told}"


def test_a_secret_is_not_shown_by_the_settings_either(file) -> None:
    settings = load(file("[database]\nurl = 'postgresql://u:geheim@h/d'\n"), {})
    assert settings.database.url is not None
    assert settings.database.url.get_secret_value() == "postgresql://u:geheim@h/d"
    assert "geheim" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    from_environment = load(None, {"DATAENGINE_DATABASE_URL": '["geheim"'})
    assert "geheim" not in repr(from_environment)


def test_an_empty_url_in_the_file_is_a_mistake(file) -> None:
    with pytest.raises(UsageError, match=r"^dataengine.toml: database.url: .*at least 1"):
        load(file("[database]\nurl = ''\n"), {})
