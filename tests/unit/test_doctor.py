"""The pure parts of doctor: what is read from versions and outputs, and what is said of them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from clv_spark import doctor
from clv_spark.config import Config
from clv_spark.doctor import Finding

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('openjdk version "21-ea" 2023-09-19', 21),
        ('java version "1.8.0_392"', 8),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "25.0.1"', 25),
        ("command not found", None),
    ],
)
def test_java_version_is_read(text: str, major: int | None) -> None:
    assert doctor.parse_java_major(text) == major


@pytest.mark.parametrize(
    ("output", "status"),
    [
        ('openjdk version "17.0.15"', "ok"),
        ('openjdk version "21.0.2"', "ok"),
        ('openjdk version "11.0.2"', "fail"),
        ('openjdk version "25.0.1"', "fail"),
        ("rubbish", "fail"),
        (None, "fail"),
    ],
)
def test_java_17_and_21_are_accepted(output: str | None, status: str) -> None:
    assert doctor.java_finding(output).status == status


def test_a_java_home_without_java_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    assert doctor.java_finding(None).found == "none in /nowhere, which JAVA_HOME names"
    monkeypatch.delenv("JAVA_HOME")
    assert doctor.java_finding(None).found == "none found"


@pytest.mark.parametrize(
    ("spark", "delta", "artifact"),
    [
        ("4.1.4", "4.4.0", "io.delta:delta-spark_4.1_2.13:4.4.0"),
        ("4.0.1", "4.4.0", "io.delta:delta-spark_4.0_2.13:4.4.0"),
        ("4.0.1", "4.0.0", "io.delta:delta-spark_2.13:4.0.0"),
        ("4.1.4", "4.0.1", None),
        ("3.5.3", "3.3.2", None),
        ("4.2.0", "4.4.0", None),
        ("4.1.4", "3.3.2", None),
    ],
)
def test_spark_and_delta_fit(spark: str, delta: str, artifact: str | None) -> None:
    assert doctor.delta_artifact(spark, delta) == artifact
    assert doctor.fit_finding(spark, delta).status == ("ok" if artifact else "fail")


@pytest.mark.parametrize(
    ("name", "version", "status"),
    [
        ("pyspark", "4.1.4", "ok"),
        ("pyspark", "4.2.0", "fail"),
        ("pyspark", "3.5.3", "fail"),
        ("pandas", "2.3.3", "ok"),
        ("pandas", "3.0.0", "fail"),
        ("pandas", None, "fail"),
        ("numpy", "2.4.6", "ok"),
    ],
)
def test_versions_against_their_range(name: str, version: str | None, status: str) -> None:
    assert doctor.version_finding(name, version).status == status


@pytest.mark.parametrize(
    ("version", "status"), [((3, 11), "ok"), ((3, 12), "warn"), ((3, 10), "fail")]
)
def test_python(version: tuple[int, int], status: str) -> None:
    assert doctor.python_finding(version).status == status


def test_differing_pin_is_named() -> None:
    pins = doctor.parse_constraints("# words\ndelta_spark==4.4.0\nnumpy==2.4.6\n")
    assert pins == {"delta-spark": "4.4.0", "numpy": "2.4.6"}
    (finding,) = doctor.pin_findings({"numpy": "2.0.0", "delta-spark": "4.4.0"}, pins)
    assert finding.status == "warn"
    assert finding.found == "numpy 2.0.0 (tried: 2.4.6)"
    (finding,) = doctor.pin_findings({"numpy": "2.4.6"}, pins)
    assert finding.status == "ok"
    assert doctor.pin_findings({"numpy": "2.4.6"}, {}) == []


def test_little_disk_space_is_a_warning(tmp_path: Path) -> None:
    def full(_: Path) -> SimpleNamespace:
        return SimpleNamespace(free=10**9)

    finding = doctor.disk_finding("Disk", tmp_path / "not" / "yet", full)
    assert finding.status == "warn"
    assert "1.0 GB free" in finding.found


def test_a_lake_below_a_file_is_found_before_a_session_is_tried(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.touch()
    findings = doctor.examine(Config.model_validate({"lake": {"path": f"{file}/lake"}}))
    assert doctor.exit_code(findings) == 11
    said = doctor.render(findings)
    assert (
        f"fail  Disk of the lake: {file}/lake: {file} is a file\n"
        "      expected: a folder\n"
        "      to do: move that file, or name another folder (lake.path, spark.local.dir)\n"
    ) in said
    assert "fail  Spark session: not tried\n" in said


@pytest.mark.parametrize("fault", [13, 36])
def test_a_disk_that_cannot_be_looked_at_is_a_warning(tmp_path: Path, fault: int) -> None:
    def refused(_: Path) -> SimpleNamespace:
        raise OSError(fault, os.strerror(fault))

    finding = doctor.disk_finding("Disk", tmp_path, refused)
    assert (finding.status, finding.found) == ("warn", f"{tmp_path}: {os.strerror(fault)}")
    assert doctor.disk_finding("Disk", tmp_path / ("x" * 300)).status == "warn"


def test_a_report_shows_no_login() -> None:
    finding = Finding("Lake", "fail", "s3a://AK:hunter2@bucket/clv: no")
    assert doctor.render([finding]) == "fail  Lake: s3a://***@bucket/clv: no\n"


def test_jars_of_another_version_are_a_warning() -> None:
    assert doctor.jar_finding("4.4.0", "file:/x/delta-spark.jar", "4.4.0").status == "ok"
    finding = doctor.jar_finding("4.3.0", "file:/x/delta-spark.jar", "4.4.0")
    assert finding.status == "warn"
    assert "4.4.0" in finding.expected


def test_report_says_what_to_do_and_sets_the_exit_code() -> None:
    good = Finding("Java", "ok", "17")
    bad = Finding("pandas", "fail", "3.0", ">=2.2,<3", "run make setup")
    assert doctor.render([good, bad]) == (
        "ok    Java: 17\nfail  pandas: 3.0\n      expected: >=2.2,<3\n      to do: run make setup\n"
    )
    assert doctor.exit_code([good, bad]) == 11
    assert doctor.exit_code([good, Finding("x", "warn", "y")]) == 0


def test_ranges_agree_with_setup_py() -> None:
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    for name, (low, high) in doctor.SUPPORTED.items():
        expected = f">={low}" if high == "1000" else f">={low},<{high}"
        assert re.search(rf'"{name}{re.escape(expected)}"', setup), name


def test_pins_lie_in_the_supported_ranges() -> None:
    pins = doctor.parse_constraints((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    for name in doctor.SUPPORTED:
        assert doctor.version_finding(name, pins[name]).status == "ok"
    assert doctor.delta_artifact(pins["pyspark"], pins["delta-spark"]) is not None
