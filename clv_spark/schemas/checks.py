"""Parts of CHECK constraints on results: what a number may be, and when it may be NULL."""

from __future__ import annotations

# The largest number there is. Delta evaluates a check as it stands: double('Infinity') would be
# read from its text for every row.
LARGEST = "1.7976931348623157E308D"

NO_PURCHASE_MODEL = "score_status = 'insufficient_data'"
NO_SPEND_MODEL = "score_status IN ('insufficient_data', 'spend_undefined')"


def finite(column: str, null_when: str) -> str:
    """The column is a finite number, or NULL where that is right."""
    bounds = f"{column} >= -{LARGEST} AND {column} <= {LARGEST}"
    return f"(({column} IS NULL AND {null_when}) OR ({column} IS NOT NULL AND {bounds}))"


def number(column: str, null_when: str) -> str:
    """The column is at least 0 and finite, or NULL where that is right."""
    # NaN is larger than every number in Spark, so the upper bound refuses it as well.
    finite = f"{column} >= 0 AND {column} <= {LARGEST}"
    return f"(({column} IS NULL AND {null_when}) OR ({column} IS NOT NULL AND {finite}))"


def probability(column: str) -> str:
    """The same, and at most 1."""
    return f"({number(column, NO_PURCHASE_MODEL)} AND coalesce({column}, 0) <= 1)"


def all_of(*conditions: str) -> str:
    """All of the conditions."""
    return " AND ".join(conditions)
