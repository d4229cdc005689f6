"""Rules that the operator wrote in the configuration: trusted SQL conditions over known columns."""

from __future__ import annotations

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from clv_spark.errors import ConfigError


def condition(rows: DataFrame, key: str, sql: str) -> Column:
    """A configured condition over these rows, analysed alone first, so that a mistake is named.

    Args:
        rows: What the condition may name.
        key: Where it stands in the configuration, for the message.
        sql: The condition.

    Raises:
        ConfigError: it is not SQL, is no condition, or names what the rows do not have.
    """
    try:
        column = F.expr(sql)
        # A filter takes nothing but a condition on one row: no number, no sum over rows.
        rows.where(column)
    except AnalysisException as error:
        raise ConfigError(
            f"{key}: {sql!r} is no condition here ({error.getCondition()}). It may name "
            f"{', '.join(rows.columns)}"
        ) from error
    return column
