"""Files of settings, and texts in settings, as people get them wrong: what, where, why, in one line."""

import os

import pytest

from dynflow_mp.config import Config
from dynflow_mp.errors import ConfigError


def load(directory, settings=None, environment=None):
    return Config.load(settings, environment or {}, directory)


def refusal(directory, settings=None, environment=None):
    """What is said about it: one line that is not long."""
    with pytest.raises(ConfigError) as refused:
        load(directory, settings, environment)
    said = str(refused.value)
    assert len(said) < 1_000
    assert said.isprintable()
    return said


# -- files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"\xef\xbb\xbfworkers = 3\n", b"workers = 3\r\nmax_credit = 7\r\n"])
def test_a_byte_order_mark_and_ends_of_lines_of_other_systems_are_nothing_wrong(tmp_path, data):
    (tmp_path / "dynflow.toml").write_bytes(data)

    assert load(tmp_path).workers == 3


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            b"# a comment\n\nwrokers = 1\n",
            "dynflow.toml, line 3: unknown setting 'wrokers'; did you mean 'workers'?",
        ),
        (b'\n"wrokers" = 1\n', "dynflow.toml, line 2: unknown setting 'wrokers'"),
        (
            b"max_credit = 1\nworkers = -1\n",
            "dynflow.toml, line 2: workers=-1: must be a whole number from 0 to 512",
        ),
        (b"workers = 1.5\n", "dynflow.toml, line 1: workers=1.5: must be"),
        (b'workers = "many"\n', "dynflow.toml, line 1: workers='many': must be"),
        (b"[queues]\nslow = 0\n", "dynflow.toml, line 1: queues={'slow': 0}: must map"),
        (b"workers = 1\nworkers = 2\n", "dynflow.toml: Cannot overwrite a value (at line 2"),
        (b"workers = \n", "dynflow.toml: Invalid value (at line 1"),
        (b"workers = 1\nlisten = '\xff'\n", "dynflow.toml, line 2: is not valid UTF-8"),
        (b"workers = 1\0\n", "dynflow.toml: "),
        (b"meta = " + b"[" * 100_000, "dynflow.toml: "),
        (b"a" * 2_000_000, "dynflow.toml: has more than 1,048,576 bytes"),
        (b"drain_grace_s = inf\n", "dynflow.toml, line 1: drain_grace_s=inf: must be a number of seconds"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_place(tmp_path, data, words):
    (tmp_path / "dynflow.toml").write_bytes(data)

    assert words in refusal(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tool = 5\n", "pyproject.toml, line 1: tool must be a table, [tool]"),
        ("[tool]\ndynflow_mp = 3\n", "pyproject.toml, line 2: tool.dynflow_mp must be a table"),
        ("[tool.dynflow_mp]\nworker = 3\n", "pyproject.toml, line 2: unknown setting 'worker'"),
    ],
)
def test_what_is_wrong_in_a_project_s_file_is_named_with_its_place(tmp_path, text, words):
    (tmp_path / "pyproject.toml").write_text(text)

    assert words in refusal(tmp_path)


def test_a_project_s_file_that_does_not_speak_of_us_is_nobody_s_business(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nworkers = 1\n")

    assert load(tmp_path).workers == 0


def test_a_directory_is_no_file_of_settings(tmp_path):
    (tmp_path / "dynflow.toml").mkdir()

    assert refusal(tmp_path).endswith("dynflow.toml: is not a file")


def test_a_pipe_is_no_file_of_settings_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "dynflow.toml")

    assert refusal(tmp_path).endswith("dynflow.toml: is not a file")


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    """Root may read everything, so the system's refusal is made here."""
    (tmp_path / "dynflow.toml").write_text("workers = 1\n")

    def refuse(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("dynflow_mp.config.Path.open", refuse)

    assert refusal(tmp_path).endswith("dynflow.toml: cannot be read: Permission denied")


def test_a_directory_that_may_not_be_looked_into_is_named(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("dynflow_mp.config.Path.exists", refuse)

    assert refusal(tmp_path).endswith("dynflow.toml: cannot be looked for: Permission denied")


def test_a_link_that_leads_nowhere_is_no_file(tmp_path):
    (tmp_path / "dynflow.toml").symlink_to(tmp_path / "gone")

    assert load(tmp_path).workers == 0


# -- texts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("surrogate_nul_or_long", ["a\udcff", "a\0b", "a\x1b[31mb", "a\nb", "x" * 100_000])
@pytest.mark.parametrize(
    ("name", "value_of"),
    [
        ("database_url", lambda text: f"sqlite:///{text}"),
        ("listen", lambda text: f"ipc:///{text}"),
        ("apps", lambda text: [text]),
        ("middleware", lambda text: [f"{text}:A"]),
        ("queues", lambda text: {text: 1}),
    ],
)
def test_a_text_that_nothing_can_be_called_is_refused_and_named(
    tmp_path, name, value_of, surrogate_nul_or_long
):
    said = refusal(tmp_path, {name: value_of(surrogate_nul_or_long)})

    assert said.startswith(f"{name}=")
    assert any(
        why in said
        for why in ("is not valid UTF-8", "has control characters", "characters are more than 4,096")
    )


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DYNFLOW_APPS", "\udcff"),
        ("DYNFLOW_LISTEN", "ipc:///\udcff"),
        ("DYNFLOW_WORKERS", "9" * 100_000),
        ("DYNFLOW_WORKERS", "x" * 100_000),
        ("DYNFLOW_WORKERS", ""),
        ("DYNFLOW_WORKERS", "1.5"),
        ("DYNFLOW_WORKERS", "-1"),
        ("DYNFLOW_WORKERS", "1000000"),
        ("DYNFLOW_QUEUES", "slow=1.5"),
        ("DYNFLOW_DATABASE_URL", ""),
        ("DYNFLOW_LISTEN", ""),
    ],
)
def test_the_environment_s_texts_are_looked_at_as_well(tmp_path, variable, text):
    assert variable[8:].lower() in refusal(tmp_path, environment={variable: text}).lower()


def test_a_very_long_name_is_no_setting_and_does_not_fill_the_log(tmp_path):
    assert refusal(tmp_path, {"x" * 1_000_000: 1}).startswith("unknown setting 'xxx")
    with pytest.warns(UserWarning, match=r"DYNFLOW_x+… is not a setting"):
        load(tmp_path, environment={"DYNFLOW_" + "x" * 100_000: "1"})
