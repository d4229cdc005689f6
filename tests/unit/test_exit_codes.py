"""However a job ends: the exit code that the README names, and the outcome as the last line."""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clv_spark import cli, errors
from clv_spark.errors import ClvError

README = Path(__file__).resolve().parents[2] / "README.md"
RUN_ID = "0123456789abcdef0123456789abcdef"
CODES: dict[type[BaseException], int] = {
    errors.ClvError: 1,
    errors.ConfigError: 2,
    errors.GateError: 10,
    errors.InputError: 11,
    errors.ConflictError: 20,
    errors.LockedError: 21,
    errors.FitError: 30,
}
# Foreign messages may quote a row.
FOREIGN = (RuntimeError, ValueError, KeyError)


@pytest.fixture(autouse=True)
def left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command sets up logging and Java for its process, which here is that of all tests."""
    monkeypatch.setenv("JAVA_HOME", "/mine")
    root, ours = logging.getLogger(), logging.getLogger("clv_spark")
    before = (root.handlers[:], root.level, ours.level)
    root.handlers = []
    yield
    root.handlers, root.level = before[0], before[1]
    ours.setLevel(before[2])


def ended(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: Path,
    end: BaseException | dict[str, Any],
) -> tuple[int, dict[str, Any], str]:
    """Exit code, outcome and log of a run whose job ends so; the file says the same."""

    def job(_: argparse.Namespace) -> dict[str, Any]:
        if isinstance(end, BaseException):
            raise end
        return end

    monkeypatch.setitem(cli._JOB_FUNCTIONS, "run", job)
    code = cli.main(["run", "--as-of", "2023-09-30", "--result-file", str(file)])
    printed = capsys.readouterr()
    assert printed.out.count("\n") == 1
    outcome = json.loads(printed.out)
    assert json.loads(file.read_text(encoding="utf-8")) == outcome
    return code, outcome, printed.err


@pytest.mark.parametrize(("kind", "code"), CODES.items())
@pytest.mark.parametrize("run_id", [None, RUN_ID])
def test_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    kind: type[ClvError],
    code: int,
    run_id: str | None,
) -> None:
    error = kind("what was found, and what to do")
    error.run_id = run_id
    found, outcome, said = ended(monkeypatch, capsys, tmp_path / "outcome.json", error)
    assert found == code
    expected = {
        "job": "run",
        "status": "failed",
        "run_id": run_id,
        "as_of_date": "2023-09-30",
        "message": "what was found, and what to do",
        "exit_code": code,
    }
    assert {key: outcome[key] for key in expected} == expected
    assert "what was found, and what to do" in said


@pytest.mark.parametrize("kind", FOREIGN)
def test_an_error_of_others_is_not_quoted(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    kind: type[Exception],
) -> None:
    error = kind("the row of customer-4711")
    code, outcome, said = ended(monkeypatch, capsys, tmp_path / "outcome.json", error)
    assert (code, outcome["exit_code"]) == (1, 1)
    assert (outcome["job"], outcome["status"]) == ("run", "failed")
    assert kind.__name__ in outcome["message"]
    assert "4711" not in outcome["message"] + said


def test_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "outcome.json"
    code, outcome, said = ended(monkeypatch, capsys, file, KeyboardInterrupt())
    assert (code, outcome["exit_code"]) == (130, 130)
    assert (outcome["job"], outcome["status"]) == ("run", "failed")
    assert outcome["as_of_date"] == "2023-09-30"
    assert "interrupted" in outcome["message"]
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"status": "done"}, 0),
        ({"status": "already_done"}, 0),
        ({"status": "failed", "exit_code": 11}, 11),
    ],
)
def test_a_job_that_says_how_it_ended(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    given: dict[str, Any],
    code: int,
) -> None:
    file = tmp_path / "outcome.json"
    found, outcome, _ = ended(monkeypatch, capsys, file, {"job": "run", **given})
    assert found == code
    assert outcome == {"job": "run", "status": given["status"], "exit_code": code}


def test_the_codes_are_those_of_the_readme() -> None:
    ours = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    assert ours == set(CODES)
    table = README.read_text(encoding="utf-8").split("| exit code | meaning |")[1].split("\n\n")[0]
    named = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert named == {0, *CODES.values(), cli.INTERRUPTED}
