"""Time the scoring stage alone: from a Delta table of features to nothing, all its columns.

    python benchmarks/scoring.py --customers 2000000

One run in Spark on two cores, in a process of its own: the first scoring of a new session, whose
Python workers know nothing yet, two more, and one whose kernel hands over columns of the same types
without working anything out, which is what the transport costs. And the kernel alone in one process
without Spark, part by part.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import pickle
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import worlds
from bench import measured, say
from report import ROOT, command, machine, publish

SPEND = {"p": 6.25, "q": 3.74, "gamma": 15.44}
AS_OF = dt.date(2023, 12, 31)
MONEY = ("gross_amount", "refund_amount", "margin_amount")
BATCH = 50_000
CORES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=2_000_000)
    parser.add_argument("--segments", type=int, default=8)
    parser.add_argument("--model", choices=sorted(worlds.WORLDS), default="bg_nbd")
    parser.add_argument("--work", type=Path, default=ROOT / "benchmarks" / "work")
    parser.add_argument("--one", nargs=2, metavar=("PART", "DATA"), help="a single measurement")
    options = parser.parse_args()
    if options.one:
        part, data = options.one
        sys.stdout.write(json.dumps(PARTS[part](Path(data))) + "\n")
        return
    entry = {
        **{name: getattr(options, name) for name in ("customers", "segments", "model")},
        **{"cores": CORES, "batch": BATCH},
        "command": command(),
        **machine(),
    }
    data = prepared(options)
    for part in PARTS:
        done = measured(["benchmarks/scoring.py", "--one", part, data])
        entry[part] = json.loads(done["stdout"].splitlines()[-1])
        say(f"{part}: {json.dumps(entry[part])}")
    publish("results_scoring.json", entry, ("model", "segments", "customers"))


def prepared(options: argparse.Namespace) -> Path:
    """A directory with features and parameters, made unless an earlier run left it."""
    data = options.work / f"scoring-{options.model}-{options.customers}-{options.segments}"
    if not (data / "parameters.pickle").exists():
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True)
        features = features_of(options.model, options.customers, options.segments)
        pq.write_table(features, data / "features.parquet", row_group_size=250_000)
        parameters = parameters_of(features, options.model)
        (data / "parameters.pickle").write_bytes(pickle.dumps(parameters))
    return data


def features_of(model: str, customers: int, segments: int) -> pa.Table:
    """What scoring reads of ``customer_features``, in no order."""
    drawn = worlds.draw(model, customers)
    rng = np.random.default_rng(11)
    days = drawn["frequency"] + 1
    nu = rng.gamma(SPEND["q"], 1 / SPEND["gamma"], customers)
    gross = np.maximum(np.round(rng.gamma(SPEND["p"] * days) / nu, 2), 0.01)
    refund = np.where(rng.random(customers) < 0.1, np.round(gross * rng.random(customers), 2), 0.0)
    names = pa.array([f"country {number}" for number in range(segments)])
    whole = {name: pa.array(values, pa.int32()) for name, values in drawn.items()}
    return pa.table(
        {
            "customer_id": rng.permutation(customers),
            "country": names.take(pa.array(rng.integers(0, segments, customers))),
            **whole,
            "monetary_value": pa.array(gross / days, mask=days == 1),
            "gross_amount": gross,
            "refund_amount": refund,
            "margin_amount": pa.nulls(customers, pa.float64()),
        }
    )


def parameters_of(features: pa.Table, model: str) -> dict[str, Any]:
    """Parameters by segment, fitted to the segment's own customers."""
    from clv_spark.kernels.score_batch import SegmentParameters
    from clv_spark.models import fit

    parameters = {}
    frame = features.select(["country", "frequency", "recency", "T", "gross_amount"]).to_pandas()
    for name, rows in frame.groupby("country"):
        x, days = rows["frequency"], rows["frequency"] + 1
        times = {"t_x": rows["recency"] / worlds.WEEK, "T": rows["T"] / worlds.WEEK}
        purchases = fit(model, {"x": x, **times})
        spend = fit("gamma_gamma", {"x": days, "m_x": rows["gross_amount"] / days})
        if {purchases.status, spend.status} != {"ok"}:
            sys.exit(f"{name} has no usable fit: {purchases.message} {spend.message}")
        parameters[str(name)] = SegmentParameters(
            segment=str(name),
            model=model,
            unit_days=worlds.WEEK,
            purchases=tuple(purchases.parameters.values()),
            purchases_covariance=purchases.log_covariance,
            purchases_segment=str(name),
            spend=spend.parameters,
            spend_covariance=spend.log_covariance,
            spend_segment=str(name),
            return_rate=0.05,
            return_prior_amount=100.0,
            margin_rate=0.3,
        )
    return parameters


def in_spark(data: Path) -> dict[str, Any]:
    """Customers per second and processor seconds of the stage in Spark."""
    from clv_spark.config import Config
    from clv_spark.pipelines.score_purchases import score_batches
    from clv_spark.session import get_session

    config = Config.model_validate({"spark": {"master": f"local[{CORES}]"}})
    parameters = pickle.loads((data / "parameters.pickle").read_bytes())
    spark = get_session(config)
    table = data / "customer_features"
    if not table.exists():
        drawn = spark.read.parquet(str(data / "features.parquet"))
        money = {name: drawn[name].cast("decimal(18,2)") for name in MONEY}
        drawn.withColumns(money).write.format("delta").save(str(table))
    features = spark.read.format("delta").load(str(table))
    features.count()  # so that the log of the table is read before
    runs = {}
    for name, kernel in (
        ("first", score_batches(config, parameters)),
        ("second", score_batches(config, parameters)),
        ("third", score_batches(config, parameters)),
        ("transport", hand_over),
    ):
        runs[name] = timed_stage(features, parameters, config, kernel)
    spark.stop()
    return runs


def timed_stage(
    features: Any, parameters: dict[str, Any], config: Any, kernel: Callable[..., Any]
) -> dict[str, float]:
    from clv_spark.pipelines.score_purchases import kernel_schema
    from clv_spark.schemas import CLV_SCORES, Shape
    from clv_spark.transforms.scores import (
        purchase_origins,
        score_columns,
        score_input,
        spread_segments,
        with_origin,
    )

    sizes = dict.fromkeys(parameters, features.count() // len(parameters))
    before, began = processor_seconds_of_all(), time.perf_counter()
    inputs = score_input(features, ("country",), {}).transform(spread_segments, sizes)
    schema = kernel_schema(CLV_SCORES.of(Shape("BIGINT", ("country",))), inputs)
    scored = inputs.mapInArrow(kernel, schema)
    origins = purchase_origins(parameters.values(), config.models.spend)
    table = score_columns(scored, AS_OF).transform(with_origin, origins, config, AS_OF)
    table.write.format("noop").mode("overwrite").save()
    seconds = time.perf_counter() - began
    return {
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor_seconds_of_all() - before, 2),
    }


def hand_over(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A kernel that does nothing, with as many columns of the same types as the real one."""
    from clv_spark.kernels.score_batch import OUTPUT_COLUMNS

    for batch in batches:
        number = batch.column("gross_amount")
        place = pa.array(np.zeros(batch.num_rows, np.int32))
        columns = {"parameters_place": place, "status_place": place}
        columns |= {name: batch.column(name) for name in batch.schema.names}
        names = [*OUTPUT_COLUMNS, "report_code"]
        ordered = [columns.get(name, number) for name in names]
        yield pa.RecordBatch.from_arrays(ordered, names=names)


def by_kernel(data: Path) -> dict[str, Any]:
    """Microseconds a customer by part of the kernel, one process, twice over the same customers."""
    from clv_spark.kernels.score_batch import LivingForecasts, ScoreSettings, score_batch

    parameters = pickle.loads((data / "parameters.pickle").read_bytes())
    settings = ScoreSettings(refunds="rate", spend_basis="all", new_customer_days=30)
    features = pq.read_table(data / "features.parquet")
    features = features.rename_columns(
        ["segment" if name == "country" else name for name in features.column_names]
    )
    batches = features.combine_chunks().to_batches(BATCH)
    watch = Stopwatch()
    watch.attach()
    memory = LivingForecasts(365, 0.1)
    found = {}
    for name in ("first", "second"):
        watch.seconds.clear()
        with watch.part("rest: segments, statuses, Arrow"):
            for batch in batches:
                score_batch(batch, settings, parameters, memory)
        found[name] = {
            part: round(seconds / features.num_rows * 1e6, 3)
            for part, seconds in watch.seconds.items()
        }
    return {**found, "pairs": memory.pairs}


class Stopwatch:
    """Seconds of processor time by part of the kernel; a part inside another counts for itself."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    def part(self, name: str) -> Stopwatch:
        self._open.append(name)
        self._lap(-2)
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._lap(-1)
        self._open.pop()

    def _lap(self, place: int) -> None:
        now = time.process_time()
        if len(self._open) >= -place:
            name = self._open[place]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed_work(*arguments: Any, **named: Any) -> Any:
            with self.part(name):
                return work(*arguments, **named)

        return timed_work

    def attach(self) -> None:
        """Let the kernel call its parts through this stopwatch."""
        from clv_spark.kernels import score_batch as kernel
        from clv_spark.kernels.living_forecasts import LivingForecasts

        uncertainty, interval, money = "parameter uncertainty", "interval", "spend and money"
        for name, functions in {
            uncertainty: ("add_alive_slopes", "relative_variance"),
            interval: ("value_distribution", "predictive_interval"),
            money: ("_spend", "_money"),
        }.items():
            for function in functions:
                setattr(kernel, function, self.timed(name, getattr(kernel, function)))
        kernel.PURCHASE_MODELS = {
            name: SimpleNamespace(
                MODEL=model.MODEL,
                probability_alive=self.timed("P(alive)", model.probability_alive),
                purchase_interval=self.timed("own rhythm", model.purchase_interval),
            )
            for name, model in kernel.PURCHASE_MODELS.items()
        }
        for function, name in {
            "of": "forecasts, looked up",
            "_learn": "forecasts, worked out",
            "_slopes_of": uncertainty,
        }.items():
            setattr(LivingForecasts, function, self.timed(name, getattr(LivingForecasts, function)))


def processor_seconds_of_all() -> float:
    """Of this process and all that it started: Java and the Python workers."""
    total = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return total + ended.ru_utime + ended.ru_stime


PARTS = {"kernel": by_kernel, "spark": in_spark}


if __name__ == "__main__":
    main()
