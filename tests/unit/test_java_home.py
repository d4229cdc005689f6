"""The Java that set-up chose and the classes it kept are used, and the user's JAVA_HOME wins."""

import os
from pathlib import Path

import pytest

from clv_spark.java_home import class_archive_options, process_options, use_chosen_java


def test_the_java_of_set_up_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Set first, so that monkeypatch puts the old state back whatever happens in between.
    monkeypatch.setenv("JAVA_HOME", "")
    monkeypatch.delenv("JAVA_HOME")
    (tmp_path / "clv_env").write_text("export JAVA_HOME='/opt/a java/17'\n")
    use_chosen_java(tmp_path)
    assert os.environ["JAVA_HOME"] == "/opt/a java/17"


def test_a_java_home_of_the_user_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/mine")
    (tmp_path / "clv_env").write_text("export JAVA_HOME='/other'\n")
    use_chosen_java(tmp_path)
    assert os.environ["JAVA_HOME"] == "/mine"


def test_without_set_up_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Set first, so that monkeypatch puts the old state back whatever happens in between.
    monkeypatch.setenv("JAVA_HOME", "")
    monkeypatch.delenv("JAVA_HOME")
    use_chosen_java(tmp_path)
    assert "JAVA_HOME" not in os.environ


def test_the_classes_of_set_up_are_used_where_there_are_any(tmp_path: Path) -> None:
    assert class_archive_options(tmp_path) == ""
    (tmp_path / "clv_classes.jsa").touch()
    assert f"-XX:SharedArchiveFile={tmp_path}/clv_classes.jsa " in class_archive_options(tmp_path)
    spaced = tmp_path / "a blank"
    spaced.mkdir()
    (spaced / "clv_classes.jsa").touch()
    assert class_archive_options(spaced) == ""


@pytest.mark.parametrize(("platform", "mechanism"), [("linux", "VFORK"), ("darwin", "")])
def test_programs_are_started_quickly_where_java_can(
    platform: str, mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anywhere else Java would refuse the option, and start nothing at all."""
    monkeypatch.setattr("sys.platform", platform)
    assert process_options().rpartition("=")[2] == mechanism
