"""A Delta table as a source: its version, and what changed in it since another version."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from clv_spark.lake.addresses import addresses, as_address, as_path, one_slash
from clv_spark.lake.place import quoted
from clv_spark.lake.spark_errors import SPARK_ERRORS

# With these a file does not hold what the table holds. What has been switched off for new files
# stays a feature of the table as long as older ones may have it.
_NOT_PLAIN = frozenset(("deletionVectors", "typeWidening", "typeWidening-preview"))
# Of a commit's actions, see "Add File and Remove File" in Delta's protocol.
_FILE = "STRUCT<path: STRING, dataChange: BOOLEAN>"
_ACTIONS = f"add {_FILE}, remove {_FILE}"


@dataclass(frozen=True)
class DeltaSource:
    """One version of a Delta table.

    Attributes:
        spark: the session.
        table_id: of the table; one that is dropped and made again has another.
        version: of the table.
        committed: when that version was, in microseconds.
        location: its folder.
        address: the same as it stands in the addresses of its files.
        partitions: its columns that no file holds.
        plain: its files hold what the table holds: no deletion vectors, no mapped columns, no
            widened types.
        feed: it keeps change data.
    """

    spark: SparkSession
    table_id: str
    version: int
    committed: int
    location: str
    address: str
    partitions: tuple[str, ...]
    plain: bool
    feed: bool

    @staticmethod
    def of(spark: SparkSession, table: DeltaTable) -> DeltaSource:
        """The newest version of a table."""
        log = table.history(1).select("version", F.unix_micros("timestamp").alias("committed"))
        newest, detail = log.first(), table.detail().first()
        if newest is None or detail is None:
            raise ValueError("a Delta table without a commit")
        has = detail["properties"]
        return DeltaSource(
            spark,
            detail["id"],
            int(newest["version"]),
            int(newest["committed"]),
            detail["location"],
            as_address(detail["location"]),
            partitions=tuple(detail["partitionColumns"]),
            plain=has.get("delta.columnMapping.mode", "none") == "none"
            and _NOT_PLAIN.isdisjoint(detail["tableFeatures"]),
            feed=has.get("delta.enableChangeDataFeed", "false") == "true",
        )

    @property
    def name(self) -> str:
        """The version as text, fit to be compared.

        Its time tells it from the version of that number before a table was put back from a backup.
        """
        return f"delta:{self.table_id}:{self.version}:{self.committed}"

    def files(self, rows: DataFrame) -> list[str]:
        """Addresses of the files behind some rows of the table."""
        # Delta lists them as they are called.
        return [as_address(file) for file in addresses(rows)]

    def version_in(self, name: str) -> int | None:
        """The version in the name of an earlier state of this table; None for another table's."""
        kind, table_id, version = (*name.split(":"), "", "")[:3]
        return int(version) if (kind, table_id) == ("delta", self.table_id) else None

    def rows_of(self, rows: DataFrame, paths: list[str]) -> DataFrame:
        """The rows of some files; Delta finds them where a file does not hold what they are."""
        if not paths:
            return rows.limit(0)
        # Delta itself can't be asked for files, and opens all.
        if not self.plain or not all(map(self._is_at_its_partition, paths)):
            return rows.where(F.col("_metadata.file_path").isin(paths))
        reader = self.spark.read.schema(rows.schema).option("basePath", self.location)
        found = reader.parquet(*(as_path(path) for path in paths))
        # Spark puts the columns of partitions last.
        return found.select(*map(quoted, rows.columns))

    def _is_at_its_partition(self, path: str) -> bool:
        """Whether the folders of a file name its partition, so that a reader finds it there.

        With random prefixes (``delta.randomizeFilePrefixes``) they do not, and the files of a
        shallow clone are in the folder of another table.
        """
        folder = f"{self.address}/"
        parts = unquote(path.removeprefix(folder)).split("/")[:-1]
        named = tuple(part.partition("=")[0] for part in parts if "=" in part)
        return path.startswith(folder) and named == self.partitions

    def files_in_log(self, after: int) -> dict[str, bool] | None:
        """Addresses of files that came or went since a version; None when the log does not tell.

        Returns:
            For each whether its rows came, went or changed; files that were only put together anew
            (OPTIMIZE) are no change.
        """
        if after > self.version:
            # Put back from a backup.
            return None
        versions = range(after + 1, self.version + 1)
        if not versions:
            return {}
        log = as_path(f"{self.address}/_delta_log")
        commits = [f"{log}/{version:020d}.json" for version in versions]
        try:
            actions = self.spark.read.schema(_ACTIONS).json(commits)
            files = actions.select(F.coalesce("add", "remove").alias("file")).where(
                "file IS NOT NULL"
            )
            found = files.groupBy("file.path").agg(F.bool_or("file.dataChange")).collect()
        except SPARK_ERRORS:
            return None
        return {self._address(path): bool(changed) for path, changed in found}

    def _address(self, path: str) -> str:
        if "://" in path or path.startswith("file:/"):
            return one_slash(path)
        return f"{self.address}/{path}"

    def changed_rows(self, after: int) -> DataFrame | None:
        """Rows that came or went, before and after a change; None without change data."""
        if not self.feed or after >= self.version:
            return None
        reader = self.spark.read.format("delta").option("readChangeFeed", "true")
        reader = reader.option("startingVersion", after + 1).option("endingVersion", self.version)
        try:
            return reader.load(self.location)
        except SPARK_ERRORS:
            # Switched on after that version, or cleaned since.
            return None
