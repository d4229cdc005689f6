"""Rows of model_parameters -> what scoring needs to know of the contracts of each segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clv_spark.config import PERIOD_MONTHS
from clv_spark.kernels.letters import in_order
from clv_spark.kernels.segment_table import Matrix
from clv_spark.kernels.segment_tree import middles
from clv_spark.kernels.shared_errors import log_errors, shared_errors
from clv_spark.models import MODELS
from clv_spark.models.arrays import Floats
from clv_spark.models.draws import Shared, fit_and_draws

# A year has 365 days and twelve equal months, so that a monthly and a yearly contract compare.
PERIOD_DAYS = {name: 365 * months / 12 for name, months in PERIOD_MONTHS.items()}
# A segment and a period.
ContractKey = tuple[str, str]


@dataclass(frozen=True)
class ContractParameters:
    """The chosen model of one segment's contracts of one period.

    Attributes:
        segment: Name of the segment.
        period: month, quarter or year.
        model: Name of the model.
        values: Its parameters in the order of its letters; None where there are none.
        covariance: Of their logarithms; empty where it is not known.
        parameters_segment: Whose parameters these are: its own or an ancestor's.
        shared: The part of covariance that other segments have, too.
    """

    segment: str
    period: str
    model: str
    values: tuple[float, ...] | None
    covariance: Matrix
    parameters_segment: str | None
    shared: tuple[Shared, ...] = ()

    def draws(self, count: int) -> dict[str, Floats]:
        """The parameters as fitted, then draws of them; what is shared is drawn as elsewhere.

        Args:
            count: How many draws; all are the fit itself where nothing is known of its error.
        """
        values = dict(zip(MODELS[self.model].parameters, self.values or (), strict=True))
        stream = f"{_kind(self.model, self.period)} {self.segment}"
        return fit_and_draws(values, self.covariance, count, stream, self.shared)


def contract_parameters(
    fitted: Sequence[Mapping[str, Any]], newcomers: Sequence[Mapping[str, Any]] = ()
) -> dict[ContractKey, ContractParameters]:
    """The chosen rows of one fit date, ready to be broadcast.

    Args:
        fitted: The rows of model_parameters of contracts in which ``chosen`` is true.
        newcomers: What ``newcomers.newcomer_rows`` makes of segments that came after the fit.
    """
    rows = (*fitted, *newcomers)
    found = {}
    periods: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        periods.setdefault(row["time_unit"], {})[row["segment"]] = row
    # A newcomer makes no siblings of segments that had none.
    drawn_to = {
        period: middles(
            {row["segment"]: row["parent_segment"] for row in fitted if row["time_unit"] == period}
        )
        for period in periods
    }
    for row in rows:
        known = row["parameters"]
        values = None if known is None else tuple(in_order(row["model"], known).values())
        found[row["segment"], row["time_unit"]] = ContractParameters(
            segment=row["segment"],
            period=row["time_unit"],
            model=row["model"],
            values=values,
            covariance=log_errors(row),
            parameters_segment=row["parameters_segment"],
            shared=shared_errors(
                row,
                periods[row["time_unit"]],
                _kind(row["model"], row["time_unit"]),
                drawn_to[row["time_unit"]],
            ),
        )
    return found


def _kind(model: str, period: str) -> str:
    """Begins the names of streams."""
    return f"{model} {period}"
