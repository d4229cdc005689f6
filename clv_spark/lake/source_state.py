"""The source as it stands at one moment: its rows, its version, and the files it consists of."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.config import SourceSection
from clv_spark.lake.addresses import addresses, as_path
from clv_spark.lake.delta_log import DeltaSource
from clv_spark.lake.source import opening, options_of, read_source, require_known_zones
from clv_spark.lake.spark_errors import SPARK_ERRORS

# A source whose next state can't be told from this one: it is never "already done".
UNVERSIONED = "unversioned"
#: Length in bytes and time of the last change in microseconds; nothing for a file of a Delta
#: table, which never changes under its name.
Mark = tuple[int, int] | None
# Of a file that is empty, so that it is not listed, or came after the marks were taken: once it is
# listed its mark is another.
_NO_MARK: Mark = (0, 0)


@dataclass(frozen=True)
class Source:
    """The source, and what tells this state of it from another.

    Attributes:
        rows: its lines.
        version: changes when the source does: a Delta version, or a hash over its files.
        files: mark of each file by address, None when the rows come from no files.
        delta: the Delta table behind it, None for anything else.
    """

    rows: DataFrame
    version: str
    files: Mapping[str, Mark] | None
    delta: DeltaSource | None = None

    def of_files(self, paths: Collection[str]) -> DataFrame:
        """The rows of some of the files, without reading the others where that is possible."""
        if self.files is not None and len(paths) == len(self.files):
            return self.rows
        if self.delta is not None:
            return self.delta.rows_of(self.rows, sorted(paths))
        return self.rows.where(F.col("_metadata.file_path").isin(sorted(paths)))


def open_source(spark: SparkSession, config: SourceSection) -> Source:
    """The source at this moment.

    Files count with path, size and modification time. A source without files or versions (a view
    over a database, say) can't be told apart from its next state, so it has no stable version.

    Raises:
        InputError: the path or table does not exist, or Spark can't read it.
        ConfigError: an option of the reader would lose lines without a word, or Java does not know
            a time zone.
    """
    require_known_zones(spark, config)
    if config.format not in ("delta", "table"):
        # Before the rows: what changes after them has a mark that is older than what is read of it,
        # so that the next run reads it again. To infer types may take long.
        marks = _marks(spark, config, str(config.path))
        rows = read_source(spark, config)
        files = addresses(rows)
        return _source_of_files(rows, {file: marks.get(file, _NO_MARK) for file in files})
    rows = read_source(spark, config)
    table = _delta_table(spark, config)
    if table is not None:
        delta = DeltaSource.of(spark, table)
        # Of that version: what lands from now on is for the next run.
        rows = read_source(spark, config, delta.version)
        return Source(rows, delta.name, dict.fromkeys(delta.files(rows)), delta)
    if config.format == "table" and _is_view(spark, str(config.table)):
        # Its text and whatever it joins may change while its files stay the same.
        return Source(rows, UNVERSIONED, None)
    return _source_of_files(rows, _marks_of_table(spark, rows, config))


def _source_of_files(rows: DataFrame, files: Mapping[str, Mark]) -> Source:
    if not files:
        return Source(rows, UNVERSIONED, None)
    digest = hashlib.sha256(repr(sorted(files.items())).encode())
    return Source(rows, f"files:{digest.hexdigest()[:16]}", files)


def _marks_of_table(spark: SparkSession, rows: DataFrame, config: SourceSection) -> dict[str, Mark]:
    files = addresses(rows)
    if not files:
        return {}
    marks = _marks(spark, config, [as_path(file) for file in files])
    if not marks.keys() <= set(files):
        # Some tables of a catalog name their folder.
        return {}
    return {file: marks.get(file, _NO_MARK) for file in files}


def _marks(spark: SparkSession, config: SourceSection, paths: str | list[str]) -> dict[str, Mark]:
    """Mark of each file with content, by address.

    Raises:
        InputError: Spark can't list them.
    """
    # binaryFile lists size and time without opening the files.
    reader = spark.read.format("binaryFile").options(**options_of(config))
    mark = [f"_metadata.file_{what}" for what in ("path", "size", "modification_time")]
    with opening(config):
        path, size, time = map(F.col, mark)
        rows = reader.load(paths).select(path, size, F.unix_micros(time)).collect()
    return {path: (size, time) for path, size, time in rows}


def _is_view(spark: SparkSession, name: str) -> bool:
    return spark.catalog.getTable(name).tableType in ("VIEW", "TEMPORARY", "MATERIALIZED_VIEW")


def _delta_table(spark: SparkSession, config: SourceSection) -> DeltaTable | None:
    if config.format == "delta":
        return DeltaTable.forPath(spark, str(config.path))
    if config.format == "table":
        try:
            return DeltaTable.forName(spark, str(config.table))
        except SPARK_ERRORS:
            return None
    return None
