"""The real command in real processes: what it prints, what it writes, how it ends."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from clv_spark.doctor import delta_artifact
from tests.operations import AS_OF, clv_spark, outcome, read_table, runs, versions, write_conf
from tests.small_spark import JAVA_OPTIONS, TEST_SPARK

DAY = AS_OF.isoformat()
CUSTOMERS = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def source(folder: Path) -> Path:
    """Lines made by the job generate, and some that a run refuses."""
    out = folder / "lines"
    result = clv_spark(
        *("generate", "--out", out, "--customers", str(CUSTOMERS), "--start", "2022-01-01"),
        *("--end", "2023-12-31", "--seed", "5", "--ids", "string"),
        cwd=folder,
        JDK_JAVA_OPTIONS=TEST_SPARK[JAVA_OPTIONS],
    )
    assert result.returncode == 0, result.stderr
    last = outcome(result)
    lines = pq.read_table(out)
    assert (last["job"], last["status"]) == ("generate", "done")
    assert last["lines"] == lines.num_rows > CUSTOMERS
    assert last["customers"] == CUSTOMERS == pc.count_distinct(lines["customer_id"]).as_py()
    guests = lines.slice(0, 7).set_column(0, "customer_id", pa.nulls(7, pa.string()))
    pq.write_table(guests, out / "guests.parquet")
    return out


@pytest.fixture(scope="module")
def conf(folder: Path, source: Path) -> Path:
    # How a command ends does not depend on compiled queries, which a short run waits for.
    return write_conf(folder, source, folder / "lake", compiled=False)


def test_check_source_explains_and_writes_nothing(folder: Path, conf: Path) -> None:
    before = sorted(folder.rglob("*"))
    result = clv_spark("check-source", "--conf", conf, cwd=folder)
    assert result.returncode == 0, result.stderr
    last, shown = outcome(result), result.stdout
    assert (last["job"], last["status"]) == ("check-source", "done")
    assert last["rows_read"] == last["rows_used"] + last["rows_rejected"]
    assert last["rejected_by_reason"]["missing_customer_id"] == 7
    assert re.search(r"^missing_customer_id +7 ", shown, re.MULTILINE)
    for heading in ("mapped", "10 lines", "money by reason", "currencies", "What to change"):
        assert heading in shown
    for column in ("customer_id", "transaction_id", "event_time", "amount", "country"):
        assert any(line.split()[:1] == [column] for line in shown.splitlines())
    assert "\nlines run from 2022-01-" in shown
    assert "lines without customer cannot be scored" in shown
    assert not (folder / "lake").exists()
    assert sorted(folder.rglob("*")) == before


def buyers(conf: Path) -> int:
    """Customers with a sale up to the as-of date, counted without Spark."""
    folder = yaml.safe_load(conf.read_text())["source"]["transactions"]["path"]
    after = pa.scalar(dt.datetime.combine(AS_OF + dt.timedelta(days=1), dt.time()))
    lines = pq.read_table(folder)
    sales = lines.filter((pc.field("amount") >= 0) & (pc.field("event_time") < after))
    reject = pc.equal(sales["product"], "P0001")
    return int(pc.count_distinct(sales.filter(pc.invert(reject))["customer_id"]).as_py())


def test_run_ends_with_its_outcome(folder: Path, conf: Path) -> None:
    file = folder / "results" / "outcome.json"
    result = clv_spark(
        "run", "--conf", conf, "--as-of", DAY, "--result-file", file, cwd=folder, timeout=200
    )
    assert result.returncode == 0, result.stderr
    last = outcome(result)
    assert result.stdout.count("\n") == 1, "logs go to stderr"
    assert json.loads(file.read_text()) == last
    keys = {"job", "status", "run_id", "as_of_date", "rows", "seconds", "tables", "exit_code"}
    assert keys <= set(last)
    scores = read_table(folder / "lake" / "clv_scores")
    assert (last["job"], last["status"], last["as_of_date"]) == ("run", "done", DAY)
    assert last["rows"] == scores.num_rows == buyers(conf)
    assert last["seconds"] > 0
    assert last["exit_code"] == 0
    assert {row["run_id"] for row in runs(folder / "lake")} == {last["run_id"]}
    for name, table in last["tables"].items():
        assert table["version"] == versions(folder / "lake")[name]
        assert table["rows"] == read_table(folder / "lake" / name).num_rows
    for stage in last["tables"]:
        assert f"{stage} " in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_input_ends_with_11(folder: Path, conf: Path) -> None:
    lake = folder / "lake of nothing"
    result = clv_spark(
        *("run", "--conf", conf, "--as-of", DAY, "--set", f"lake.path={lake}"),
        *("--set", f"source.transactions.path={folder / 'nowhere'}"),
        cwd=folder,
    )
    assert result.returncode == 11, result.stderr
    last = outcome(result)
    assert (last["status"], last["exit_code"]) == ("failed", 11)
    assert re.fullmatch("[0-9a-f]{32}", last["run_id"])
    assert "nowhere" in last["message"]
    assert versions(lake) == {}


@pytest.mark.faults
@pytest.mark.long
def test_doctor_finds_this_machine_fit(folder: Path, conf: Path) -> None:
    lake = folder / "not there yet" / "lake"
    result = clv_spark("doctor", "--conf", conf, "--set", f"lake.path={lake}", cwd=folder)
    assert result.returncode == 0, result.stdout
    *lines, _ = result.stdout.splitlines()
    assert outcome(result) == {"job": "doctor", "status": "done", "exit_code": 0}
    named = [re.fullmatch(r"(ok|warn) +([^:]+): (.+)", line) for line in lines]
    found = {match[2]: match[3] for match in named if match and match[1] == "ok"}
    for what in ("Python", "Java", "pyspark", "delta-spark", "Spark session"):
        assert what in found
    spark, delta = found["pyspark"], found["delta-spark"]
    artifact = delta_artifact(spark, delta)
    assert artifact is not None
    fit = f"pyspark {spark}, delta-spark {delta} ({artifact})"
    assert found["Spark with Delta"] == fit
    assert re.fullmatch(rf"{delta} \(\S*delta-spark\S*-{delta}\.jar\)", found["Delta JARs"])
    assert found["Lake"] == f"{lake}: a table was written, read and deleted"
    assert not lake.parent.exists()
