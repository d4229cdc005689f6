"""The command within this process: its result file, its lakes and its session, without a JVM."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NoReturn

import pytest

from clv_spark import cli
from clv_spark.config import Config, load_config
from clv_spark.errors import ClvError

ROOT = Path(__file__).resolve().parents[2]
YESTERDAY = '{"status": "done"}\n'


@pytest.fixture(autouse=True)
def no_other_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/java")
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    "mistake", [["--as-of", "2011-13-01"], ["--frobnicate"], ["--as-of"], ["--from", "x"]]
)
def test_a_wrong_command_line_is_in_the_result_file(tmp_path: Path, mistake: list[str]) -> None:
    file = tmp_path / "outcome.json"
    file.write_text(YESTERDAY)
    assert cli.main(["run", "--result-file", str(file), *mistake]) == 2
    last = json.loads(file.read_text())
    assert (last["job"], last["status"], last["exit_code"]) == ("run", "failed", 2)


def test_a_result_file_without_a_name_is_a_wrong_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["run", "--result-file"]) == 2
    assert "--result-file" in json.loads(capsys.readouterr().out)["message"]


def test_a_killed_job_leaves_no_outcome_of_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "outcome.json"
    file.write_text(YESTERDAY)
    seen = []

    def job(arguments: argparse.Namespace) -> dict[str, Any]:
        seen.append(file.read_text())
        return {"status": "done"}

    monkeypatch.setitem(cli._JOB_FUNCTIONS, "show-config", job)
    assert cli.main(["show-config", "--result-file", str(file)]) == 0
    assert seen == [""]
    assert json.loads(file.read_text())["status"] == "done"


def test_a_result_file_of_another_user_stops_before_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder may be written to; root may write everything, so the refusal is played."""
    file = tmp_path / "outcome.json"
    file.write_text(YESTERDAY)
    as_before = Path.open

    def refused(path: Path, *given: Any, **more: Any) -> Any:
        if path == file:
            raise PermissionError(13, "Permission denied")
        return as_before(path, *given, **more)

    monkeypatch.setattr(Path, "open", refused)
    assert cli.main(["show-config", "--result-file", str(file)]) == 2


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (["lake.path=/data/demo/"], ("/data/demo_telco", None, None)),
        (["lake.path=/data/a #1"], ("/data/a #1_telco", None, None)),
        (["lake.schema=clv"], (None, None, "clv_telco")),
        (["lake.catalog=main", "lake.schema=clv"], (None, "main", "clv_telco")),
    ],
)
def test_the_second_lake_of_the_demo_is_beside_the_first(
    given: list[str], place: tuple[str | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in given:
        key, _, value = text.partition("=")
        monkeypatch.setenv(f"CLV_SPARK__{key.upper().replace('.', '__')}", f'"{value}"')
    first = load_config("conf/demo.yml")
    second = cli._contracts_of_demo(first, argparse.Namespace(set=[])).lake
    assert (second.path, second.catalog, second.schema_) == place


def test_generate_takes_sparks_settings_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Config] = []

    def session(config: Config, arguments: argparse.Namespace) -> NoReturn:
        seen.append(config)
        raise ClvError("enough")

    monkeypatch.setattr(cli, "_session", session)
    monkeypatch.setenv("CLV_SPARK__SPARK__MASTER", "local[1]")
    monkeypatch.setenv("CLV_SPARK__SPARK__CONF__spark__driver__memory", "9g")
    monkeypatch.setenv("CLV_SPARK__SOURCE__TRANSACTIONS__PATH", "of another job")
    assert cli.main(["generate", "--out", str(tmp_path / "lines")]) == 1
    assert [one.spark.master for one in seen] == ["local[1]"]
    assert seen[0].spark.conf == {"spark.driver.memory": "9g"}
