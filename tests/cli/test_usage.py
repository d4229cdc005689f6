"""Mistakes on the command line are answered at once, without a JVM where it need not be asked."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.operations import clv_spark, environment, outcome, sections, write_conf

SECONDS = 2.0


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return write_conf(tmp_path, tmp_path / "lines", tmp_path / "lake")


def at_once(*arguments: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = clv_spark(*arguments, cwd=cwd, timeout=60, **env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Time of the processor: the clock on the wall also measures everybody else.
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < SECONDS
    return result


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--conf", "CONF"], "--as-of"),
        (["run", "--conf", "CONF", "--as-of", "9.12.2011"], "YYYY-MM-DD"),
        (["run", "--conf", "CONF", "--as-of", "2023-02-30"], "2023-02-30"),
        (["nonsense"], "invalid choice"),
        (["run", "--conf", "CONF", "--as-of", "2023-09-30", "--frobnicate"], "--frobnicate"),
    ],
)
def test_a_wrong_command_line(tmp_path: Path, conf: Path, arguments: list[str], said: str) -> None:
    given = [str(conf) if argument == "CONF" else argument for argument in arguments]
    result = at_once(*given, cwd=tmp_path)
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    last = outcome(result)
    assert said in last["message"]
    assert (last["status"], last["exit_code"]) == ("failed", 2)
    assert last["job"] == (None if arguments[0] == "nonsense" else "run")
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--conf", "nowhere.yml"], "nowhere.yml"),
        (["--conf", "CONF", "--set", "value.horizon_dayz=90"], "did you mean horizon_days?"),
        (["--conf", "CONF", "--set", "value.horizon_days=soon"], "value.horizon_days"),
        (["--conf", "CONF", "--set", "horizon"], "a.b=value"),
    ],
)
def test_a_wrong_configuration_is_an_outcome_too(
    tmp_path: Path, conf: Path, arguments: list[str], said: str
) -> None:
    given = [str(conf) if argument == "CONF" else argument for argument in arguments]
    file = tmp_path / "deep" / "outcome.json"
    result = at_once("run", "--as-of", "2023-09-30", *given, "--result-file", file, cwd=tmp_path)
    assert result.returncode == 2
    last = outcome(result)
    assert said in last["message"]
    assert said in result.stderr
    assert last["status"] == "failed"
    assert last["job"] == "run"
    assert last["as_of_date"] == "2023-09-30"
    assert json.loads(file.read_text()) == last
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("file", ["folder", "file/below.json"])
def test_a_result_file_that_cannot_be_written_stops_before_the_job(
    tmp_path: Path, conf: Path, file: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    result = at_once("show-config", "--conf", conf, "--result-file", file, cwd=tmp_path)
    assert result.returncode == 2
    assert f"--result-file {file} cannot be written" in outcome(result)["message"]
    assert "Traceback" not in result.stderr


def test_a_job_whose_reader_is_gone_ends_as_it_would(tmp_path: Path, conf: Path) -> None:
    file = tmp_path / "outcome.json"
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "clv_spark", "show-config", "--conf", conf, "--result-file", file],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert result.returncode == 0, result.stderr
    assert "stdout cannot be written: Broken pipe" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Exception" not in result.stderr
    assert json.loads(file.read_text())["status"] == "done"


def test_show_config_has_every_layer_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "base.yml").write_text("value: {horizon_days: 11, margin_rate: 0.11}\n")
    values = {
        **sections("lines"),
        "value": {"margin_rate": 0.22, "annual_discount_rate": 0.22},
        "spark": {"conf": {"spark.hadoop.fs.s3a.secret.key": "hunter2", "spark.x.password": "abc"}},
    }
    (tmp_path / "conf.yml").write_text(yaml.safe_dump(values))
    result = at_once(
        *("show-config", "--conf", "conf.yml", "--set", "value.new_customer_days=44"),
        cwd=tmp_path,
        CLV_SPARK__VALUE__ANNUAL_DISCOUNT_RATE="0.33",
        CLV_SPARK__VALUE__NEW_CUSTOMER_DAYS="33",
    )
    assert result.returncode == 0
    *shown, last = result.stdout.splitlines()
    assert json.loads(last)["job"] == "show-config"
    assert json.loads(last)["status"] == "done"
    config = yaml.safe_load("\n".join(shown))
    assert config["value"] == {
        "definition": "margin",
        "horizon_days": 11,
        "margin_rate": 0.22,
        "margins": None,
        "annual_discount_rate": 0.33,
        "new_customer_days": 44,
    }
    assert set(config["spark"]["conf"].values()) == {"***"}
    assert "hunter2" not in result.stdout + result.stderr


def test_help_names_every_job(tmp_path: Path) -> None:
    result = at_once("--help", cwd=tmp_path)
    assert result.returncode == 0
    for job in ("run", "export", "check-source", "doctor", "show-config", "demo", "generate"):
        assert job in result.stdout


def test_doctor_says_what_to_do_about_a_lake_below_a_file(tmp_path: Path, conf: Path) -> None:
    (tmp_path / "notes.txt").touch()
    result = at_once("doctor", "--conf", conf, "--set", "lake.path=notes.txt/lake", cwd=tmp_path)
    last = outcome(result)
    assert result.returncode == 11 == last["exit_code"]
    assert (last["job"], last["status"]) == ("doctor", "failed")
    lines = result.stdout.splitlines()
    at = lines.index(f"fail  Disk of the lake: notes.txt/lake: {tmp_path}/notes.txt is a file")
    assert lines[at + 2].startswith("      to do: move that file, or name another folder")


def test_a_setting_that_spark_cannot_read_is_named(tmp_path: Path, conf: Path) -> None:
    """In a session with it PySpark would ask for its own settings for ever."""
    setting = "spark.conf={spark.sql.shuffle.partitions: many}"
    result = clv_spark("check-source", "--conf", conf, "--set", setting, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    said = "spark.conf: spark.sql.shuffle.partitions=many is no value that Spark can read"
    assert said in outcome(result)["message"]
    assert not (tmp_path / "lake").exists()
