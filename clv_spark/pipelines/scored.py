"""Parts of job score-customers: the scores of one relationship, and what both check of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, Row

from clv_spark.errors import GateError
from clv_spark.kernels.event_rates import ServiceCosts
from clv_spark.kernels.segment_value import LeafOutlook
from clv_spark.schemas import TableSpec
from clv_spark.transforms.scores import Origin

# What serving costs in a leaf segment.
Costs = Callable[[str], ServiceCosts]


@dataclass(frozen=True)
class Scored:
    """The scores of one relationship, before anything is written.

    Attributes:
        rows: What the kernels say of each customer.
        outlooks: Given what serving costs, what is known of each leaf segment.
        message: How many customers or contracts have which status.
        origins: Where parameters come from, by the parameters_place of a row.
        detail: Rows of contract_scores; None for purchases.
        report: The values of each further key of the summary, by report_code.
        reports: Makes the rows of further tables, by name.
    """

    rows: DataFrame
    outlooks: Callable[[Costs], Mapping[str, LeafOutlook]]
    message: str
    origins: Sequence[Origin]
    detail: DataFrame | None = None
    report: Mapping[str, list[str]] = field(default_factory=dict)
    reports: Mapping[str, Callable[[], DataFrame]] = field(default_factory=dict)


def statuses_in_words(found: list[Row], expected: int, features: TableSpec) -> str:
    """Every row of the features has a score; CHECK constraints guard the values.

    Raises:
        GateError: some have none.
    """
    counts = Counter[str]()
    for row in found:
        counts[row["score_status"]] += row["customers"]
    if counts.total() != expected:
        raise GateError(
            f"{counts.total()} rows were scored, {features.name} holds {expected}; nothing "
            "was published. Run again"
        )
    return ", ".join(f"{status}: {counts[status]}" for status in sorted(counts))
