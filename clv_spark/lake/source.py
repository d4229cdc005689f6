"""Read a source with the reader options of the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame, DataFrameReader, SparkSession

from clv_spark.config import LocalSource, SourceSection
from clv_spark.errors import ConfigError, InputError
from clv_spark.lake.session_settings import settings
from clv_spark.lake.spark_errors import SPARK_ERRORS, condition

_TEXT = ("csv", "json")
_OTHER_VERSIONS = ("versionasof", "timestampasof")
_LOSES_LINES = {
    ("ignorecorruptfiles", "true"),
    ("ignoremissingfiles", "true"),
    ("mode", "dropmalformed"),
}


def read_source(
    spark: SparkSession, config: SourceSection, delta_version: int | None = None
) -> DataFrame:
    """The source as a DataFrame; of a Delta table the given version, or the newest.

    Raises:
        InputError: the path or table does not exist, or Spark can't read it.
        ConfigError: an option of the reader would lose lines without a word or read another
            version, or instants are read in zones by country.
    """
    with opening(config):
        reader = reader_of(spark, config)
        if delta_version is not None:
            reader = reader.option("versionAsOf", delta_version)
        if config.format == "table":
            # Spark remembers the files of a table for as long as its session lives.
            spark.catalog.refreshTable(str(config.table))
            source = reader.table(str(config.table))
        else:
            with _times_stay_local(spark):
                source = reader.load(str(config.path))
    _require_local_times(config, source)
    if not source.columns:
        raise InputError(
            f"{config.key}: {config.format} {_place(config)} holds no column; check the path, "
            "and that a CSV has its header"
        )
    return source


def _place(config: SourceSection) -> str | None:
    return config.table if config.format == "table" else config.path


@contextmanager
def opening(config: SourceSection) -> Iterator[None]:
    """Turn what Spark says of a source that it opens or lists into what to do.

    Raises:
        InputError: Spark failed.
    """
    try:
        yield
    except SPARK_ERRORS as error:
        raise InputError(
            f"{config.key}: {config.format} {_place(config)} cannot be read "
            f"({condition(error)}). Check the path or name, the format, the schema, the options "
            "and the access rights"
        ) from error


def _zone(config: SourceSection) -> str | dict[str, str] | None:
    return config.timezone if isinstance(config, LocalSource) else None


def require_known_zones(spark: SparkSession, config: SourceSection) -> None:
    """Refuse a zone of Python's that Java does not know, as an older one those that are new.

    Raises:
        ConfigError: there is one.
    """
    zones = set(config.zones.values()) if isinstance(config, LocalSource) else ()
    for zone in sorted(zones):
        try:
            with settings(spark, {"spark.sql.session.timeZone": zone}):
                pass
        except SPARK_ERRORS as error:
            raise ConfigError(
                f"{config.key}.timezone: {zone!r} is no time zone that this Java knows; write "
                "another place with the same time, or run on a newer Java"
            ) from error


def _require_local_times(config: SourceSection, source: DataFrame) -> None:
    """A text without offset can be read as an instant in one time zone only."""
    instants = [name for name, kind in source.dtypes if kind == "timestamp"]
    by_country = isinstance(_zone(config), dict) and config.format in _TEXT
    if config.schema_ is not None and by_country and instants:
        raise ConfigError(
            f"{config.key}.schema has {instants} as TIMESTAMP, which would be read in one time "
            "zone, but timezone is by country; write TIMESTAMP_NTZ or STRING"
        )


def reader_of(spark: SparkSession, config: SourceSection) -> DataFrameReader:
    """Spark's reader with the options of the configuration.

    Raises:
        ConfigError: an option would lose lines without a word.
    """
    if config.format == "table":
        return spark.read
    reader = spark.read.format(config.format).options(**options_of(config))
    return reader if config.schema_ is None else reader.schema(config.schema_)


@contextmanager
def _times_stay_local(spark: SparkSession) -> Iterator[None]:
    """With ``inferSchema`` a time without offset is local time, not an instant in UTC."""
    before = str(spark.conf.get("spark.sql.timestampType"))
    spark.conf.set("spark.sql.timestampType", "TIMESTAMP_NTZ")
    try:
        yield
    finally:
        spark.conf.set("spark.sql.timestampType", before)


def options_of(config: SourceSection) -> dict[str, str]:
    """The options of the configuration, and those that no source is read without.

    Raises:
        ConfigError: an option would lose lines without a word, or read another version.
    """
    # A CSV whose lines do not fit must not lose them: unreadable values become NULL and are
    # refused with a reason by the quarantine.
    defaults: dict[str, str] = {}
    if config.format == "csv":
        # By its name, or not at all: files may have their columns in another order.
        by_name = {} if config.schema_ else {"enforceSchema": "false"}
        defaults = {"header": "true", **by_name}
    zone = _zone(config)
    if config.format in _TEXT and isinstance(zone, str):
        # A time without offset is local time, also where the schema calls it an instant.
        defaults["timeZone"] = zone
    for name, value in config.options.items():
        if name.lower() in _OTHER_VERSIONS:
            raise ConfigError(
                f"{config.key}.options has {name}, but a run reads the newest version of a table, "
                "and goes on from the one it read last; remove it"
            )
        if (name.lower(), value.lower()) in _LOSES_LINES:
            raise ConfigError(
                f"{config.key}.options has {name}: {value}, which loses lines in silence; "
                "remove it, so that a line that can't be used is refused with its reason"
            )
    return {**defaults, **config.options}
