"""Where the lake is: absolute, and whether that is on the driver's own file system."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

from pyspark.sql import SparkSession

from clv_spark.config import Config
from clv_spark.errors import ConfigError
from clv_spark.lake.hadoop import path_and_files
from clv_spark.lake.spark_errors import SPARK_ERRORS, condition


def quoted(name: str) -> str:
    """The name as one part of an identifier in SQL, whatever it holds.

    Example:
        >>> quoted("a`b c")
        '`a``b c`'
    """
    return "`" + name.replace("`", "``") + "`"


def lake_folder(config: Config) -> str:
    """The lake's folder; a relative path counts from the working directory.

    Example:
        >>> from clv_spark.config import load_config
        >>> lake_folder(load_config(overrides=["lake.path=s3a://bucket/clv/"], environ={}))
        's3a://bucket/clv'
    """
    return absolute(str(config.lake.path))


def absolute(path: str) -> str:
    """An address without a slash at its end; a relative path counts from the working directory."""
    return (path if urlparse(path).scheme else str(Path(path).absolute())).rstrip("/")


def local_folder(spark: SparkSession, config: Config) -> Path | None:
    """The lake's folder when it is on the driver's own file system, else None."""
    return None if config.lake.path is None else local_path(spark, config.lake.path)


def local_path(spark: SparkSession, path: str) -> Path | None:
    """The path on the driver's own file system, None for an address of another.

    A path without scheme is where Spark's tables would be: on a cluster that may be HDFS.
    """
    place = absolute(path)
    scheme = urlparse(place).scheme
    if scheme == "":
        _, files = path_and_files(spark, place)
        return Path(place) if files.getUri().getScheme() == "file" else None
    # As Hadoop takes it: no letter of a path has a meaning of its own, not even # or %.
    return Path(place.partition(":")[2].removeprefix("//")) if scheme == "file" else None


def schema_name(config: Config) -> str:
    """The lake's schema as SQL reads it, for a lake that is a catalog schema.

    Example:
        >>> from clv_spark.config import load_config
        >>> schema_name(load_config(overrides=["lake.catalog=main", "lake.schema=clv"], environ={}))
        '`main`.`clv`'
    """
    return ".".join(quoted(part) for part in (config.lake.catalog, config.lake.schema_) if part)


def ensure_schema(spark: SparkSession, config: Config) -> None:
    """Make the lake's schema where it does not exist yet.

    Raises:
        ConfigError: the catalog refuses it.
    """
    try:
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema_name(config)}")
    except SPARK_ERRORS as error:
        raise ConfigError(
            f"lake: the schema {schema_name(config)} cannot be made ({condition(error)}). Name a "
            "catalog that exists and a schema of letters, digits and _, or let an administrator "
            "make it"
        ) from error
