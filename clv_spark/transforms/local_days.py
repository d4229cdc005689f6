"""Times of a source, whatever it calls one -> days of the configured time zone."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as st

from clv_spark.config import LocalSource
from clv_spark.transforms.mapping import MAPPED, OURS, analysed_with, expression, require_type
from clv_spark.transforms.segments import BLANKS

_SHORTEST_DAY = len("2011-6-5")


def with_local_day(
    mapped: DataFrame,
    config: LocalSource,
    name: str,
    kinds: tuple[type[st.DataType], ...],
    day_name: str,
) -> DataFrame:
    """Adds the local calendar day, the expression being read once in each time zone in use.

    Analysed in the zone, text without an offset is local time and a TIMESTAMP is an instant that
    is turned into local time; TIMESTAMP_NTZ and DATE are local already.

    Args:
        mapped: Rows with the country, where time zones are by country.
        config: Mapping of columns, time zone.
        name: Of the mapped time.
        kinds: Types that it may have.
        day_name: Of the new column; NULL where there is no day.

    Raises:
        InputError: The expression does not fit the source, or has another type.
    """
    zones = config.zones
    days: dict[str, Column] = {}
    for number, zone in enumerate(dict.fromkeys(zones.values())):
        settings = {"spark.sql.ansi.enabled": "false", "spark.sql.session.timeZone": zone}
        with analysed_with(mapped.sparkSession, **settings):
            time = expression(mapped, f"{config.key}.columns.{name}", config.columns[name])
            probe = mapped.select(time.alias(name)).schema[name]
            require_type(probe, kinds, config)
            in_zone = f"{OURS}{name}_{number}"
            mapped = mapped.select("*", _local_day(time, probe).alias(in_zone))
        days[zone] = F.col(in_zone)
    day, where = days[zones["default"]], F.col(f"{MAPPED}country").cast("string")
    for country, zone in zones.items():
        if country != "default":
            here = F.trim(where, F.lit(BLANKS)) == F.lit(country)
            day = F.when(here, days[zone]).otherwise(day)
    # Beyond these Python has no date: a year such as 43038 is milliseconds taken for seconds.
    known = day.between(F.lit("0001-01-01").cast("date"), F.lit("9999-12-31").cast("date"))
    return mapped.withColumn(day_name, F.when(known, day))


def _local_day(time: Column, field: st.StructField) -> Column:
    day = time.cast("date")
    if not isinstance(field.dataType, st.StringType):
        return day
    # Text cast to a date loses its offset from UTC; text that is no date at all, such as 10:30,
    # would be a time of today, and a year or month alone its first day.
    has_day = F.length(F.trim(time, F.lit(BLANKS))) >= _SHORTEST_DAY
    return F.when(day.isNotNull() & has_day, time.cast("timestamp").cast("date"))
