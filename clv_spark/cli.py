"""The command clv-spark: arguments, logging, exit codes, and the outcome as the last line."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import yaml

from clv_spark import __version__
from clv_spark.config import Config, load_config, masked
from clv_spark.errors import ClvError, ConfigError, without_secrets
from clv_spark.java_home import use_chosen_java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger("clv_spark")

INTERRUPTED = 130

# job: (needs --as-of, what it does)
JOBS = {
    "run": (True, "the whole job: customer days, features, fit, scores, latest"),
    "build-customer-days": (False, "source lines -> customer_days, rejected_transactions"),
    "build-contracts": (False, "rows of contracts -> contracts, rejected_contracts"),
    "build-features": (True, "customer_days, contracts -> customer_features, contract_features"),
    "build-costs": (True, "service events, acquisition costs -> customer_costs"),
    "fit-models": (True, "features -> model_parameters"),
    "score-customers": (True, "features and parameters -> clv_scores, clv_scores_latest"),
    "export": (False, "clv_scores_latest -> files for a CRM, with a manifest"),
    "maintain": (False, "few files per table, nothing beyond retention; --dry-run only says"),
    "check-source": (False, "show how the source is understood; writes nothing"),
    "doctor": (False, "check versions, Java, Delta and the lake; say what to do"),
    "show-config": (False, "print the configuration in force, secrets masked"),
    "demo": (False, "run on the bundled shop and contracts and show the results"),
    "generate": (False, "write synthetic transactions or contracts of a known world"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one job and return its exit code; the last line on stdout is the outcome as JSON."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True
    )
    arguments = argparse.Namespace(job=None, result_file=_result_file(argv))
    try:
        _parser().parse_args(argv, arguments)
        log.setLevel(logging.DEBUG if arguments.verbose else logging.INFO)
        _empty_result_file(arguments.result_file)
        use_chosen_java()
        outcome = _JOB_FUNCTIONS[arguments.job](arguments)
        code = int(outcome.pop("exit_code", 0))
    except ClvError as error:
        log.error("%s", error)
        outcome = {**_failure(arguments, str(error)), "run_id": error.run_id}
        code = error.exit_code
    except KeyboardInterrupt:
        return _interrupted(arguments)
    except Exception as error:
        # A foreign message may quote a row, so only its kind goes into the outcome.
        log.error("unexpected %s; --verbose shows where", type(error).__name__)
        log.debug("traceback", exc_info=True)
        outcome, code = _failure(arguments, f"unexpected {type(error).__name__}"), 1
    _report({**outcome, "exit_code": code}, arguments.result_file)
    return code


def entry_point() -> None:
    """The console script."""
    sys.exit(main())


class _Parser(argparse.ArgumentParser):
    """Mistakes on the command line end like every other failure: with the outcome as JSON."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}. See {self.prog} --help")


def _result_file(argv: Sequence[str] | None) -> Path | None:
    """Where the outcome goes, also that of a command line with a mistake."""
    parser = _Parser(add_help=False)
    parser.add_argument("--result-file", type=Path)
    try:
        known, _ = parser.parse_known_args(argv)
    except ConfigError:
        # Without its value; the parser of the job says so.
        return None
    return cast(Path | None, known.result_file)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="clv-spark", description="Customer lifetime value on Spark and Delta Lake."
    )
    parser.add_argument("--version", action="version", version=__version__)
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB")
    for name, (dated, what) in JOBS.items():
        job = jobs.add_parser(name, help=what, description=what)
        job.add_argument("--result-file", type=Path, help="write the outcome here as JSON")
        job.add_argument("--verbose", action="store_true", help="log more, with tracebacks")
        if name == "generate":
            _add_generate_options(job)
            continue
        job.add_argument("--conf", type=Path, help="YAML file, on top of base.yml beside it")
        job.add_argument(
            "--set", action="append", default=[], metavar="a.b=value", help="override one key"
        )
        if name == "maintain":
            job.add_argument("--dry-run", action="store_true", help="only say what would be done")
        if dated:
            _add_dates(job, several=name == "run")
    return parser


def _add_dates(job: argparse.ArgumentParser, *, several: bool) -> None:
    given: dict[str, Any] = {"type": _date, "metavar": "YYYY-MM-DD"}
    job.add_argument("--as-of", required=not several, help="last day that counts", **given)
    if several:
        job.add_argument("--from", dest="first", help="instead: first of several dates", **given)
        job.add_argument("--to", dest="last", help="last of them", **given)


def _add_generate_options(job: argparse.ArgumentParser) -> None:
    job.add_argument("--out", required=True, help="folder for the Parquet files; must be empty")
    kinds = ("transactions", "contracts")
    job.add_argument("--kind", choices=kinds, default="transactions", help="what to write")
    job.add_argument("--customers", type=int, default=10_000, help="number of customers")
    job.add_argument("--lines", type=int, help="about so many transaction lines")
    job.add_argument("--ids", choices=("int", "string"), default="int", help="kind of customer id")
    job.add_argument("--seed", type=int, default=1, help="same seed, same lines")
    job.add_argument("--start", type=_date, default=dt.date(2022, 1, 1), metavar="YYYY-MM-DD")
    job.add_argument("--end", type=_date, default=dt.date(2024, 12, 31), metavar="YYYY-MM-DD")


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date YYYY-MM-DD") from error


def _config(arguments: argparse.Namespace) -> Config:
    return load_config(arguments.conf, arguments.set)


def _dated(arguments: argparse.Namespace) -> dict[str, Any]:
    config = _config(arguments)
    from clv_spark import pipelines

    functions: dict[str, Callable[..., dict[str, Any]]] = {
        "build-features": pipelines.build_features,
        "build-costs": pipelines.build_costs,
        "fit-models": pipelines.fit_models,
        "score-customers": pipelines.score_customers,
    }
    return functions[arguments.job](_session(config, arguments), config, arguments.as_of)


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    first, last, as_of = arguments.first, arguments.last, arguments.as_of
    if (as_of is None) == (first is None) or (first is None) != (last is None):
        raise ConfigError("run needs --as-of DATE, or --from DATE --to DATE for each date between")
    config = _config(arguments)
    from clv_spark import pipelines

    if as_of is not None:
        return pipelines.run(_session(config, arguments), config, as_of)
    return pipelines.backfill(_session(config, arguments), config, first, last)


def _maintain(arguments: argparse.Namespace) -> dict[str, Any]:
    config = _config(arguments)
    from clv_spark import pipelines

    return pipelines.maintain(_session(config, arguments), config, dry_run=arguments.dry_run)


def _undated(arguments: argparse.Namespace) -> dict[str, Any]:
    config = _config(arguments)
    from clv_spark import pipelines

    functions: dict[str, Callable[..., dict[str, Any]]] = {
        "build-customer-days": pipelines.build_customer_days,
        "build-contracts": pipelines.build_contracts,
        "export": pipelines.export,
    }
    return functions[arguments.job](_session(config, arguments), config)


def _check_source(arguments: argparse.Namespace) -> dict[str, Any]:
    config = _config(arguments)
    from clv_spark import pipelines
    from clv_spark.reports import source_report

    found = pipelines.check_source(_session(config, arguments), config)
    _say(source_report(found))
    return {"job": "check-source", "status": "done", **found["totals"]}


def _doctor(arguments: argparse.Namespace) -> dict[str, Any]:
    from clv_spark import doctor

    findings = doctor.examine(_config(arguments))
    _say(doctor.render(findings))
    code = doctor.exit_code(findings)
    status = "done" if code == 0 else "failed"
    return {"job": "doctor", "status": status, "exit_code": code}


def _show_config(arguments: argparse.Namespace) -> dict[str, Any]:
    values = masked(_config(arguments))
    _say(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
    return {"job": "show-config", "status": "done"}


def _demo(arguments: argparse.Namespace) -> dict[str, Any]:
    from clv_spark import pipelines
    from clv_spark.reports import contracts_report, demo_report

    path = arguments.conf or Path("conf/demo.yml")
    if not path.exists():
        raise ConfigError(f"{path} is not here; run the demo from the folder of the repository")
    config = load_config(path, arguments.set)
    log.info("demo: Online Retail II as of %s, lake %s", DEMO_AS_OF, _place(config))
    spark = _session(config, arguments)
    outcome = pipelines.run(spark, config, DEMO_AS_OF)
    _say(demo_report(spark, config, DEMO_AS_OF))
    held = _contracts_of_demo(config, arguments)
    log.info("demo: Telco contracts, lake %s", _place(held))
    pipelines.run(spark, held, DEMO_AS_OF)
    _say(contracts_report(spark, held, DEMO_AS_OF))
    return {**outcome, "job": "demo"}


def _contracts_of_demo(config: Config, arguments: argparse.Namespace) -> Config:
    """The second world of the demo, in a lake beside the first."""
    overrides = [text for text in arguments.set if text.startswith("spark.")]
    lake = config.lake
    if lake.path is not None:
        # As YAML reads it, whatever it holds.
        overrides.append(f"lake.path={json.dumps(lake.path.rstrip('/') + '_telco')}")
    else:
        overrides.append(f"lake.schema={json.dumps(f'{lake.schema_}_telco')}")
        overrides.append(f"lake.catalog={json.dumps(lake.catalog)}")
    return load_config(Path("conf/demo_contracts.yml"), overrides)


def _place(config: Config) -> str:
    return without_secrets(str(config.lake.path or config.lake.schema_))


DEMO_AS_OF = dt.date(2011, 12, 9)


def _generate(arguments: argparse.Namespace) -> dict[str, Any]:
    from clv_spark import pipelines

    given = {
        name: getattr(arguments, name)
        for name in ("out", "customers", "start", "end", "ids", "seed")
    }
    # Nothing else of a configuration is about this job.
    about_spark = {k: v for k, v in os.environ.items() if k.startswith("CLV_SPARK__SPARK__")}
    spark = _session(load_config(environ=about_spark), arguments)
    if arguments.kind == "contracts":
        if arguments.lines is not None:
            raise ConfigError("--lines is for transactions; contracts follow from --customers")
        outcome = pipelines.generate_contracts(spark, **given)
    else:
        outcome = pipelines.generate(spark, lines=arguments.lines, **given)
    return {"job": "generate", "status": "done", **outcome}


# Heavy imports stand inside the functions, so that --help and a wrong key answer at once.
_JOB_FUNCTIONS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "run": _run,
    "build-customer-days": _undated,
    "build-contracts": _undated,
    "build-features": _dated,
    "build-costs": _dated,
    "fit-models": _dated,
    "score-customers": _dated,
    "export": _undated,
    "maintain": _maintain,
    "check-source": _check_source,
    "doctor": _doctor,
    "show-config": _show_config,
    "demo": _demo,
    "generate": _generate,
}


def _session(config: Config, arguments: argparse.Namespace) -> SparkSession:
    from clv_spark.session import get_session

    spark = get_session(config)
    # PySpark's own handler asks Java to cancel its jobs, in the middle of another call to Java.
    # To end at once is safe: so does a kill, and the next run goes on from there.
    signal.signal(signal.SIGINT, lambda *_: os._exit(_interrupted(arguments)))
    return spark


def _interrupted(arguments: argparse.Namespace) -> int:
    message = "interrupted; nothing is half published. Run this again to go on"
    log.error("%s", message)
    outcome = {**_failure(arguments, message), "exit_code": INTERRUPTED}
    _report(outcome, arguments.result_file)
    return INTERRUPTED


def _failure(arguments: argparse.Namespace, message: str) -> dict[str, Any]:
    as_of = getattr(arguments, "as_of", None)
    return {
        "job": arguments.job,
        "status": "failed",
        "run_id": None,
        "as_of_date": None if as_of is None else as_of.isoformat(),
        "message": message,
    }


def _empty_result_file(result_file: Path | None) -> None:
    """Before a job of hours; one that is killed leaves no outcome of an earlier one behind.

    Raises:
        ConfigError: the file can't be written.
    """
    if result_file is None:
        return
    try:
        result_file.parent.mkdir(parents=True, exist_ok=True)
        fault = "it is a folder" if result_file.is_dir() else None
        if result_file.is_file() or not result_file.exists():
            result_file.write_bytes(b"")
    except OSError as error:
        fault = error.strerror
    if fault is not None:
        raise ConfigError(f"--result-file {result_file} cannot be written: {fault}")


def _report(outcome: dict[str, Any], result_file: Path | None) -> None:
    text = json.dumps(outcome, default=str) + "\n"
    # First, as whoever reads stdout may be gone.
    if result_file is not None:
        try:
            result_file.parent.mkdir(parents=True, exist_ok=True)
            result_file.write_text(text, encoding="utf-8")
        except OSError as error:
            log.error("--result-file %s could not be written: %s", result_file, error.strerror)
    _say(text)


def _say(text: str) -> None:
    """Write to stdout; a job that is over does not fail since nobody listens any more."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        log.error("stdout cannot be written: %s", error.strerror)
        # Python writes once more what is left when it ends, and would fail then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
