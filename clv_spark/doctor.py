"""Looks at this installation: do the versions fit together, and can the lake be written?

Every finding says what was found, what was expected and what to do; nothing here raises for a
broken installation, since reporting it is the job.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clv_spark.config import Config
from clv_spark.errors import InputError, without_secrets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Status = Literal["ok", "warn", "fail"]
Version = tuple[int, ...]

TRIED_JAVA = (17, 21)
# From the lowest that is supported to the first that is not; both also stand in setup.py.
SUPPORTED: dict[str, tuple[str, str]] = {
    "pyspark": ("4.0", "4.2"),
    "delta-spark": ("4.0", "5"),
    "pandas": ("2.2", "3"),
    "pyarrow": ("15", "1000"),
    "numpy": ("1.26", "1000"),
    "scipy": ("1.11", "1000"),
}
_LITTLE_SPACE_GB = 5.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    status: Status
    found: str
    expected: str = ""
    advice: str = ""


def examine(config: Config | None = None) -> list[Finding]:
    """Look at versions, Java, disks and, with a configuration, at Spark and the lake.

    Args:
        config: the configuration whose Spark and lake are tried; None looks at the versions only.

    Returns:
        One finding per thing looked at, in the order in which they depend on each other.
    """
    versions = installed_versions()
    findings = [python_finding(sys.version_info[:2]), java_finding(_java_version_text())]
    # A cluster may bring Delta as JARs alone; then the session shows whether they fit.
    jars_alone = "PYSPARK_GATEWAY_PORT" in os.environ and "delta-spark" not in versions
    findings += [
        version_finding(name, versions.get(name))
        for name in SUPPORTED
        if not (jars_alone and name == "delta-spark")
    ]
    if not jars_alone:
        findings.append(fit_finding(versions.get("pyspark"), versions.get("delta-spark")))
    findings += pin_findings(versions, _constraints())
    findings.append(_worker_python_finding())
    if config is None:
        return findings
    findings += _disk_findings(config)
    if any(finding.status == "fail" for finding in findings):
        advice = "correct what failed above, then run doctor again"
        return [*findings, Finding("Spark session", "fail", "not tried", "a session", advice)]
    return findings + _session_findings(config, versions.get("delta-spark", ""))


def exit_code(findings: Iterable[Finding]) -> int:
    """0 when nothing failed; otherwise the code for something missing or unreadable."""
    return InputError.exit_code if any(f.status == "fail" for f in findings) else 0


def render(findings: Iterable[Finding]) -> str:
    """The findings as text, with what to do below each that is not ok."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.status:<4}  {finding.name}: {finding.found}")
        if finding.status != "ok":
            lines += [f"      expected: {finding.expected}"] if finding.expected else []
            lines += [f"      to do: {finding.advice}"] if finding.advice else []
    return without_secrets("".join(f"{line}\n" for line in lines))


def parse_version(text: str) -> Version:
    """The leading numbers of a version.

    Example:
        >>> parse_version("4.1.4"), parse_version("26.0.1.dev3")
        ((4, 1, 4), (26, 0, 1))
    """
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def parse_java_major(text: str) -> int | None:
    """The main version in the output of ``java -version``.

    Example:
        >>> parse_java_major('openjdk version "17.0.15" 2025-04-15')
        17
        >>> parse_java_major('java version "1.8.0_392"')
        8
    """
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(match[1]) if match else None


def delta_artifact(pyspark: str, delta: str) -> str | None:
    """The Maven coordinates of Delta for this Spark; None when there are none that fit.

    Delta 4.0 was made for Spark 4.0 alone; from 4.1 on the artifact's name says for which Spark.

    Example:
        >>> delta_artifact("4.1.4", "4.4.0")
        'io.delta:delta-spark_4.1_2.13:4.4.0'
    """
    spark, delta_numbers = parse_version(pyspark)[:2], parse_version(delta)
    if delta_numbers[:2] == (4, 0):
        return f"io.delta:delta-spark_2.13:{delta}" if spark == (4, 0) else None
    if delta_numbers[:1] != (4,) or spark not in ((4, 0), (4, 1)):
        return None
    return f"io.delta:delta-spark_{spark[0]}.{spark[1]}_2.13:{delta}"


def python_finding(version: Version) -> Finding:
    """Is this Python one that was tried?"""
    found = ".".join(map(str, version[:2]))
    if version[:2] == (3, 11):
        return Finding("Python", "ok", found)
    status: Status = "warn" if version[:2] == (3, 12) else "fail"
    return Finding("Python", status, found, "3.11", "install Python 3.11 and run make setup")


def java_finding(output: str | None) -> Finding:
    """Is the Java that Spark would start one that Spark runs on?"""
    expected = "Java 17 or 21"
    advice = "run make setup, or set JAVA_HOME to a Java 17 or 21"
    if output is None:
        home = os.environ.get("JAVA_HOME")
        found = f"none in {home}, which JAVA_HOME names" if home else "none found"
        return Finding("Java", "fail", found, expected, advice)
    major = parse_java_major(output)
    if major is None:
        return Finding("Java", "fail", "does not say its version", expected, advice)
    if major not in TRIED_JAVA:
        return Finding("Java", "fail", str(major), expected, advice)
    return Finding("Java", "ok", f"{major} ({os.environ.get('JAVA_HOME') or shutil.which('java')})")


def version_finding(name: str, version: str | None) -> Finding:
    """Is one package installed, in a version within the supported range?"""
    low, high = SUPPORTED[name]
    expected = f">={low}" if high == "1000" else f">={low},<{high}"
    advice = f'run make setup, or pip install "{name}{expected}"'
    if version is None:
        return Finding(name, "fail", "not installed", expected, advice)
    if not parse_version(low) <= parse_version(version) < parse_version(high):
        return Finding(name, "fail", version, expected, advice)
    return Finding(name, "ok", version)


def fit_finding(pyspark: str | None, delta: str | None) -> Finding:
    """Were this Spark and this Delta made for each other?"""
    name, expected = "Spark with Delta", "pyspark 4.1 with delta-spark 4.4.0"
    advice = "run make setup, which installs the versions in constraints.txt"
    if pyspark is None or delta is None:
        return Finding(name, "fail", "one of them is missing", expected, advice)
    artifact = delta_artifact(pyspark, delta)
    found = f"pyspark {pyspark}, delta-spark {delta}"
    if artifact is None:
        return Finding(name, "fail", f"{found}: no JAR fits both", expected, advice)
    return Finding(name, "ok", f"{found} ({artifact})")


def pin_findings(versions: dict[str, str], pins: dict[str, str]) -> list[Finding]:
    """Which packages differ from the set that was tried together?"""
    if not pins:
        return []
    others = [
        f"{name} {versions[name]} (tried: {pins[name]})"
        for name in SUPPORTED
        if name in versions and name in pins and versions[name] != pins[name]
    ]
    if not others:
        return [Finding("Versions tried together", "ok", "all as in constraints.txt")]
    advice = "run make setup; other versions may work but were not tried"
    return [
        Finding("Versions tried together", "warn", ", ".join(others), "constraints.txt", advice)
    ]


def installed_versions() -> dict[str, str]:
    """The installed version of every package that is looked at."""
    versions = {}
    for name in SUPPORTED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    # Spark's own distribution carries pyspark without saying so to pip.
    if "pyspark" not in versions:
        with contextlib.suppress(ImportError):
            versions["pyspark"] = importlib.import_module("pyspark").__version__
    return versions


def parse_constraints(text: str) -> dict[str, str]:
    """The pins of a constraints file, by name as pip normalises it."""
    pairs = (line.strip().partition("==") for line in text.splitlines() if "==" in line)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in pairs}


def _constraints() -> dict[str, str]:
    # Present in a checkout only; an installed package has nothing to compare with.
    path = Path(__file__).resolve().parent.parent / "constraints.txt"
    return parse_constraints(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _java_version_text() -> str | None:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None:
        return None
    try:
        done = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stderr + done.stdout


def _worker_python_finding() -> Finding:
    given = os.environ.get("PYSPARK_PYTHON")
    if given is None:
        return Finding("PYSPARK_PYTHON", "ok", f"not set; local workers use {sys.executable}")
    if shutil.which(given) is None:
        advice = "unset it, or give a path that exists on the workers"
        return Finding("PYSPARK_PYTHON", "warn", f"{given}: not found here", "a Python", advice)
    return Finding("PYSPARK_PYTHON", "ok", given)


def _disk_findings(config: Config) -> list[Finding]:
    scratch = config.spark.conf.get("spark.local.dir") or os.environ.get("SPARK_LOCAL_DIRS")
    places = {"Disk for Spark's scratch files": (scratch or "/tmp").split(",")[0]}
    lake = config.lake.path
    if lake is not None and (lake.startswith("file:") or "://" not in lake):
        places = {"Disk of the lake": re.sub(r"^file:(//)?", "", lake), **places}
    return [disk_finding(name, Path(place)) for name, place in places.items()]


def disk_finding(
    name: str, path: Path, usage: Callable[[Path], Any] = shutil.disk_usage
) -> Finding:
    """Is there room where tables or scratch files go?"""
    expected = f"at least {_LITTLE_SPACE_GB:.0f} GB"
    there = path.absolute()
    try:
        while not there.exists() and there != there.parent:
            there = there.parent
        if not there.is_dir():
            advice = "move that file, or name another folder (lake.path, spark.local.dir)"
            return Finding(name, "fail", f"{path}: {there} is a file", "a folder", advice)
        free = usage(there).free / 1e9
    except OSError as error:
        advice = "name a folder that this user may enter (lake.path, spark.local.dir)"
        return Finding(name, "warn", f"{path}: {error.strerror}", expected, advice)
    found = f"{free:.1f} GB free in {path}"
    if free >= _LITTLE_SPACE_GB:
        return Finding(name, "ok", found)
    advice = "free some space, or name another folder (lake.path, spark.local.dir)"
    return Finding(name, "warn", found, expected, advice)


def _session_findings(config: Config, delta: str) -> list[Finding]:
    from clv_spark.session import get_session

    try:
        spark = get_session(config, "clv_spark doctor")
    except Exception as error:
        advice = "read the log named here; see the findings above"
        return [Finding("Spark session", "fail", _first_line(error), "a session", advice)]
    master = spark.conf.get("spark.master", "unknown")
    return [
        Finding("Spark session", "ok", f"Spark {spark.version} on {master}"),
        _delta_jar_finding(spark, delta),
        _lake_finding(spark, config),
    ]


def _delta_jar_finding(spark: SparkSession, delta: str) -> Finding:
    name = "Delta JARs"
    jvm: Any = spark.sparkContext._jvm
    try:
        # A Scala package object: in Java's eyes a class named "package".
        version = str(jvm.io.delta.package.VERSION())
        kind = jvm.java.lang.Class.forName(
            "io.delta.sql.DeltaSparkSessionExtension",
            True,
            jvm.java.lang.Thread.currentThread().getContextClassLoader(),
        )
        source = str(kind.getProtectionDomain().getCodeSource().getLocation())
    except Exception as error:
        advice = "add them (CLV_SPARK_DELTA in spark-submit.sh --help), or run make setup"
        return Finding(name, "fail", f"not loaded ({_first_line(error)})", delta, advice)
    return jar_finding(version, source, delta) if delta else fit_finding(spark.version, version)


def jar_finding(jar_version: str, source: str, delta: str) -> Finding:
    """Do the Delta JARs that Spark loaded agree with the Python package?"""
    found = f"{jar_version} ({source.rsplit('/', 1)[-1]})"
    if parse_version(jar_version) == parse_version(delta):
        return Finding("Delta JARs", "ok", found)
    advice = f"install delta-spark=={jar_version}, or start Spark with the JARs of {delta}"
    return Finding("Delta JARs", "warn", found, f"{delta}, as the Python package", advice)


def _lake_finding(spark: SparkSession, config: Config) -> Finding:
    """Write, read and drop a table in the lake: the only proof that all of it is allowed."""
    from clv_spark.lake import lake_folder, schema_name

    name = "Lake"
    in_folder = config.lake.path is not None
    place = lake_folder(config) if in_folder else schema_name(config)
    probe = f"_doctor_probe_{uuid.uuid4().hex[:8]}"
    try:
        rows = (
            _probe_folder(spark, f"{place}/{probe}")
            if in_folder
            else _probe_schema(spark, config, f"{place}.{probe}")
        )
    except Exception as error:
        advice = "check that it exists, its spelling, and the rights and credentials to write there"
        return Finding(name, "fail", f"{place}: {_first_line(error)}", "a lake to write", advice)
    if rows != 3:
        advice = "look for another process that changes this lake"
        return Finding(name, "fail", f"{place}: read {rows} rows", "the 3 rows written", advice)
    return Finding(name, "ok", f"{place}: a table was written, read and deleted")


def _probe_folder(spark: SparkSession, folder: str) -> int:
    from clv_spark.lake.hadoop import path_and_files

    path, files = path_and_files(spark, folder)
    missing, above = [], path.getParent()
    while above is not None and not files.exists(above):
        missing.append(above)
        above = above.getParent()
    try:
        spark.range(3).coalesce(1).write.format("delta").save(folder)
        return spark.read.format("delta").load(folder).count()
    finally:
        files.delete(path, True)
        # A lake that does not exist yet stays so.
        for folder_made in missing:
            if files.exists(folder_made) and not files.listStatus(folder_made):
                files.delete(folder_made, False)


def _probe_schema(spark: SparkSession, config: Config, table: str) -> int:
    from clv_spark.lake import ensure_schema, schema_name

    was_there = spark.catalog.databaseExists(schema_name(config))
    ensure_schema(spark, config)
    try:
        spark.range(3).coalesce(1).write.format("delta").saveAsTable(table)
        return spark.table(table).count()
    finally:
        spark.sql(f"DROP TABLE IF EXISTS {table}")
        # A lake that does not exist yet stays so.
        if not was_there:
            spark.sql(f"DROP SCHEMA {schema_name(config)}")


def _first_line(error: Exception) -> str:
    """The line that says something: py4j opens with one that only names its own call."""
    lines = [line.removeprefix(": ").strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("An error occurred while calling"):
        return lines[1][:200]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
