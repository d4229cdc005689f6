"""Lines and money that were read, by reason: the reconciliation that stands before every write."""

from __future__ import annotations

import decimal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from clv_spark.config import SourceSection
from clv_spark.errors import GateError, InputError
from clv_spark.lake import SPARK_ERRORS, condition
from clv_spark.transforms.customer_days import totals_by_text
from clv_spark.transforms.mapping import text_of
from clv_spark.transforms.segments import Codes

# Beyond this a segment key is a mistake, such as a customer id mapped as country.
MOST_SEGMENTS = 100_000
# Lines, cents and dates by reason; None stands for the lines that are used.
Totals = dict[str | None, dict[str, Any]]


@dataclass(frozen=True)
class Look:
    """What a first, narrow pass over the lines found.

    Attributes:
        line_count: number of lines.
        cents: what they come to.
        codes: the values of each segment key.
    """

    line_count: int
    cents: int
    codes: Mapping[str, Codes]

    def values(self) -> dict[str, tuple[str, ...]]:
        """The values of each segment key."""
        return {key: codes.names for key, codes in self.codes.items()}

    def totals(self) -> dict[str, int]:
        """Lines and cents."""
        return {"line_count": self.line_count, "cents": self.cents}


def first_look(lines: DataFrame, segments: tuple[str, ...], source: SourceSection) -> Look:
    """Count the lines and find the values of the segment keys.

    Raises:
        InputError: Spark failed while it read the source, or a segment key has so many values
            that it can't be a segment.
    """
    with reading(source, "lines"):
        rows = totals_by_text(lines, segments).limit(MOST_SEGMENTS + 1).collect()
    if len(rows) > MOST_SEGMENTS:
        raise InputError(
            f"segments {list(segments)}: more than {MOST_SEGMENTS} distinct values; map a key "
            "with few values, such as a country, channel or region"
        )
    return Look(
        sum(row["line_count"] for row in rows),
        sum(row["cents"] or 0 for row in rows),
        {key: Codes.of_texts(row[text_of(key)] for row in rows) for key in segments},
    )


def read_totals(by_reason: DataFrame, source: SourceSection) -> Totals:
    """Lines, cents and dates by reason (None = used).

    Args:
        by_reason: from lines or from their sums.
        source: named in errors.

    Raises:
        InputError: Spark failed while it read the source.
    """
    with reading(source, "lines"):
        rows = by_reason.collect()
    return {row["reason"]: row.asDict() for row in rows}


@contextmanager
def reading(source: SourceSection, what: str) -> Iterator[None]:
    """Turn what Spark says of a source into what to do.

    Args:
        source: named in errors.
        what: is read of it.

    Raises:
        InputError: Spark failed.
    """
    try:
        yield
    except SPARK_ERRORS as error:
        mend = "Run check-source, and mend" if source.is_shown else "Mend"
        raise InputError(
            f"{source.key}: reading the {what} failed ({condition(error)}). "
            f"{mend} the file or the mapped expression it names"
        ) from error


def check_usable(read: Totals, source: SourceSection) -> None:
    """Stop before anything is written when the source is empty or nothing of it can be used.

    Raises:
        InputError: there is no line, or no usable line.
    """
    if not read:
        raise InputError(no_line(source))
    if None not in read:
        refused = {str(reason): totals["line_count"] for reason, totals in sorted(read.items())}
        raise InputError(
            f"{source.key}: none of the lines can be used; refused by reason: {refused}. "
            f"{_how_to_look(source).capitalize()} to see how the columns are mapped"
        )


def no_line(source: SourceSection) -> str:
    """What to say of an empty source."""
    return (
        f"{source.key}: the source has no line. Check that the path or table holds the data; "
        "every table is left as it was"
    )


def figures_of(read: Totals) -> dict[str, Any]:
    """The reconciliation of lines and money, as it goes to the commit and pipeline_runs."""
    used = {reason: totals for reason, totals in read.items() if reason is None}
    refused = {str(reason): totals for reason, totals in read.items() if reason is not None}
    return {
        "rows_read": _sum(read, "line_count"),
        "rows_used": _sum(used, "line_count"),
        "rows_rejected": _sum(refused, "line_count"),
        "amount_read": _money(_sum(read, "cents")),
        "amount_used": _money(_sum(used, "cents")),
        "amount_rejected": _money(_sum(refused, "cents")),
        "rejected_by_reason": {r: t["line_count"] for r, t in sorted(refused.items())},
    }


def totals_together(read: Totals) -> dict[str, int]:
    """Lines and cents of all reasons."""
    return {what: _sum(read, what) for what in ("line_count", "cents")}


def reconcile(counted: Mapping[str, int], summed: Mapping[str, int], table: str) -> None:
    """Hold what went into a table against what was counted before, lines and cents.

    The two come from separate passes over the source, so a source that changes under the run, or
    a line lost or doubled on the way, shows here.

    Raises:
        GateError: lines or cents differ.
    """
    for what, expected in counted.items():
        found = int(summed[what] or 0)
        if expected != found:
            raise GateError(
                f"{table} does not reconcile: {found} {what} were summed up, {expected} were "
                "counted at first. Did the source change during the run? Nothing was published; "
                "run again on a source that stands still"
            )


def gate_rejected(
    figures: dict[str, Any], limit: float, source: SourceSection, seen: int = 0
) -> None:
    """Stop when too large a share of the rows is refused.

    Args:
        figures: what :func:`figures_of` says of the rows that were read.
        limit: ``gates.max_rejected_share``.
        source: named in errors.
        seen: so many of the refused rows say nothing of this read, and count on neither side.

    Raises:
        GateError: more than the limit.
    """
    share = (figures["rows_rejected"] - seen) / max(1, figures["rows_read"] - seen)
    if share > limit:
        but = f", without {seen} that were there at the last read and have no date," if seen else ""
        raise GateError(
            f"{source.key}: {share:.1%} of the lines{but} are refused, gates.max_rejected_share "
            f"allows {limit:.1%}: {figures['rejected_by_reason']}. Nothing was published; "
            f"{_how_to_look(source)}"
        )


def _how_to_look(source: SourceSection) -> str:
    return "run check-source" if source.is_shown else "compare the source with the configuration"


def check_refused(refused: DataFrame, figures: Mapping[str, Any], source: SourceSection) -> None:
    """Hold the refused rows, before they are written, against those that were read as refused.

    Args:
        refused: with their amount and the line as it came.
        figures: what :func:`figures_of` says of the rows that were read.
        source: named in errors.

    Raises:
        GateError: rows or money differ.
        InputError: a column that nothing but a refused row is read for is unreadable.
    """
    # The line holds all columns, some of which nothing else has read.
    content = F.max(F.length("line"))
    with reading(source, "refused lines"):
        (found,) = refused.agg(F.count(F.lit(1)), F.sum("amount"), content).collect()
    expected = (figures["rows_rejected"], decimal.Decimal(figures["amount_rejected"]))
    if (found[0], found[1] or 0) != expected:
        raise GateError(
            f"{source.key}: refused rows do not reconcile: {found[0]} of {found[1] or 0} in money "
            f"are to be written, {expected[0]} of {expected[1]} were read as refused. Did the "
            "source change during the run? Nothing was published; run again on a source that "
            "stands still"
        )


def _sum(totals: dict[Any, dict[str, Any]], what: str) -> int:
    return sum(int(t[what] or 0) for t in totals.values())


def _money(cents: int) -> str:
    return str(decimal.Decimal(cents).scaleb(-2))
