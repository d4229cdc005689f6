"""What the commits of Delta tables say about themselves, read from their logs, each once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from clv_spark.lake.hadoop import java_class, path_and_files

# A file takes a few milliseconds, Delta's own history a Spark job, however many commits it reads.
_ONE_BY_ONE = 20
_FIELDS = ("operation", "userMetadata", "operationMetrics")


class CommitLog:
    """The commits of tables in folders, newest first; what has been read is kept, as it stays."""

    def __init__(self, spark: SparkSession) -> None:
        """Nothing is read yet."""
        self._spark = spark
        self._known: dict[tuple[str, int], dict[str, Any]] = {}

    def versions(self, folder: str) -> list[int]:
        """The versions whose commits the log of a table still holds, newest first."""
        log, files = path_and_files(self._spark, f"{folder}/_delta_log")
        # As one text, since a call to Java for each file would take longer than the listing.
        paths = java_class(self._spark, "org.apache.hadoop.fs.FileUtil").stat2Paths(
            files.listStatus(log)
        )
        arrays = java_class(self._spark, "org.apache.commons.lang3.ArrayUtils")
        names = arrays.toString(paths)
        found = re.findall(r"/_delta_log/(\d{20})\.json(?=[,}])", names)
        return sorted(map(int, found), reverse=True)

    def commits(self, folder: str, limit: int) -> Iterator[dict[str, Any]]:
        """Commits of a table, newest first: version, operation, userMetadata, operationMetrics."""
        missed = 0
        for version in islice(self.versions(folder), limit):
            key = (folder, version)
            if key not in self._known:
                missed += 1
                if missed > _ONE_BY_ONE:
                    self._read_all(folder, limit)
                if key not in self._known:
                    self._known[key] = self._read(folder, version)
            yield self._known[key]

    def _read_all(self, folder: str, limit: int) -> None:
        rows = DeltaTable.forPath(self._spark, folder).history(limit)
        for row in rows.select("version", *_FIELDS).collect():
            self._known[folder, row["version"]] = row.asDict()

    def _read(self, folder: str, version: int) -> dict[str, Any]:
        path, files = path_and_files(self._spark, f"{folder}/_delta_log/{version:020d}.json")
        stream = files.open(path)
        try:
            lines = java_class(self._spark, "org.apache.commons.io.IOUtils").lineIterator(
                stream, "UTF-8"
            )
            # The first line with Spark, the last with others.
            while lines.hasNext():
                info = json.loads(lines.next()).get("commitInfo")
                if info is not None:
                    return {"version": version, **{name: info.get(name) for name in _FIELDS}}
        finally:
            stream.close()
        return {"version": version, **dict.fromkeys(_FIELDS)}
