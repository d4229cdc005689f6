"""The only floor that reads or writes tables: sources, Delta tables, commits, the lock."""

from clv_spark.lake.addresses import literal
from clv_spark.lake.commit import DAYS_HELD, Commit, Range
from clv_spark.lake.export import write_export
from clv_spark.lake.lock import lake_lock
from clv_spark.lake.place import ensure_schema, lake_folder, schema_name
from clv_spark.lake.session_settings import trusted_session
from clv_spark.lake.source import read_source
from clv_spark.lake.source_state import UNVERSIONED, Mark, Source, open_source
from clv_spark.lake.spark_errors import SPARK_ERRORS, condition
from clv_spark.lake.tables import Lake
from clv_spark.lake.upkeep import has_many_small_files

__all__ = [
    "DAYS_HELD",
    "SPARK_ERRORS",
    "UNVERSIONED",
    "Commit",
    "Lake",
    "Mark",
    "Range",
    "Source",
    "condition",
    "ensure_schema",
    "has_many_small_files",
    "lake_folder",
    "lake_lock",
    "literal",
    "open_source",
    "read_source",
    "schema_name",
    "trusted_session",
    "write_export",
]
