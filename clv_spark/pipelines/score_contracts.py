"""Part of job score-customers: contract_features and parameters -> contract_scores, clv_scores."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql import types as st

from clv_spark.config import Config
from clv_spark.errors import InputError
from clv_spark.kernels.contract_forecasts import Outlook
from clv_spark.kernels.contract_parameters import (
    ContractKey,
    ContractParameters,
    contract_parameters,
)
from clv_spark.kernels.score_contracts import (
    CONTRACT_OUTPUT,
    ContractSettings,
)
from clv_spark.kernels.score_contracts import score_contracts as score_batch
from clv_spark.kernels.several_contracts import add_up_contracts
from clv_spark.kernels.worker import in_worker
from clv_spark.pipelines.newcomers import new_contract_segments
from clv_spark.pipelines.outlooks import contract_outlooks
from clv_spark.pipelines.run_context import Run, cached, reached
from clv_spark.pipelines.scored import Scored, statuses_in_words
from clv_spark.schemas import CONTRACT_FEATURES
from clv_spark.transforms.contract_scores import (
    contract_origins,
    contract_score_columns,
    contract_score_input,
    contract_score_rows,
    customer_rows,
    customer_totals,
    lone_contracts,
    with_customer,
)
from clv_spark.transforms.earlier import counted_by, with_earlier
from clv_spark.transforms.segments import GLOBAL


def score_contracts(
    run: Run, fit: tuple[dt.date, list[Row]], previous: DataFrame | None, kept: ExitStack
) -> Scored:
    """Score every contract in Arrow batches, then put each customer's together.

    Args:
        run: The run; its date's slice of contract_features is read.
        fit: When the parameters were fitted, and the chosen rows of model_parameters.
        previous: The slice of clv_scores to compare with, if any.
        kept: Holds what is kept on disks until everything is written.
    """
    (fit_date, fitted), keys = fit, run.config.contract_segments
    _require_fit_for(run, fitted)
    features = run.lake.read(CONTRACT_FEATURES, run.date)
    inputs = contract_score_input(features, keys, run.date)
    known = [row.asDict() for row in fitted]
    parameters = contract_parameters(known, new_contract_segments(run, fit_date, inputs, known))
    inputs = with_customer(inputs)
    scored = inputs.mapInArrow(
        in_worker(score_batches(run.config, parameters)), _kernel_schema(inputs)
    )
    used, origins = list(parameters.values()), contract_origins(parameters.values())
    # Kept as the kernel gives them: texts that numbers stand for would double the disk.
    bare = kept.enter_context(cached(scored))
    rows = contract_score_columns(bare, run.date)
    found = rows.groupBy("score_status").agg(F.count(F.lit(1)).alias("customers")).collect()
    wanted = run.lake.count(CONTRACT_FEATURES, run.date)
    message = f"contracts: {statuses_in_words(found, wanted, CONTRACT_FEATURES)}"
    reached("clv_scores:contracts_scored")
    # Read more than once: to see where everybody stands, and to be written.
    customers = _customers(run.config, rows, used).transform(
        with_earlier, previous, counted_by(run.config), "contract"
    )
    customers = kept.enter_context(cached(customers))
    outlooks = partial(contract_outlooks, run, rows, parameters)
    detail = contract_score_rows(rows, origins, run.config, fit_date)
    return Scored(customers, outlooks, message, origins, detail=detail)


def _customers(config: Config, rows: DataFrame, used: Sequence[ContractParameters]) -> DataFrame:
    """Rows of clv_scores; the interval of several contracts is that of their sum."""
    outlook, totals = _outlook(config), customer_totals(rows)
    early_days = config.costs.service.early_days

    def add_all(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield add_up_contracts(batch, outlook, used, early_days)

    summed = totals.mapInArrow(in_worker(add_all), totals.drop("items").schema)
    every = lone_contracts(rows).unionByName(summed)
    return customer_rows(every, config.value.new_customer_days)


def _require_fit_for(run: Run, fitted: list[Row]) -> None:
    """Parameters mean something only beside the segments they were fitted with.

    Raises:
        InputError: the fit is of other segments, or of no contracts at all.
    """
    keys = {GLOBAL, *run.config.contract_segments}
    levels = {row["segment_level"] for row in fitted}
    if levels != keys:
        raise InputError(
            f"model_parameters was fitted for contracts by {sorted(levels) or 'nothing'}, the "
            f"configuration has {sorted(keys)}; run fit-models again"
        )


def score_batches(
    config: Config, parameters: Mapping[ContractKey, ContractParameters]
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """The function that Spark applies to the contracts of a partition."""
    settings = ContractSettings(
        outlook=_outlook(config),
        margin_rate=config.value.margin_rate,
        new_customer_days=config.value.new_customer_days,
        early_days=config.costs.service.early_days,
        value=config.value.counted,
        keys=len(config.contract_segments),
    )

    def score_all(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield score_batch(batch, settings, parameters)

    return score_all


def _outlook(config: Config) -> Outlook:
    return Outlook(config.value.horizon_days, config.value.annual_discount_rate)


def _kernel_schema(inputs: DataFrame) -> st.StructType:
    """The columns that the kernel is given and those it adds, for Spark."""
    added = [
        st.StructField(name, st.IntegerType() if name.endswith("_place") else st.DoubleType())
        for name in CONTRACT_OUTPUT
    ]
    return st.StructType([*inputs.schema.fields, *added])
