"""Files for other programs: written aside, put in place in one step, with a manifest.

One file on the driver's own disk takes the place of the old one by a rename, its manifest right
after it. Everything else is a folder: each run writes into a folder of its own, and the manifest,
replaced last, says which one counts. That needs no rename, which object stores do not have: the
manifest is written as Delta writes its log, in one step on each store. The files that the manifest
before named stay until the next export, so that who reads them can go on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from clv_spark.config import ExportConfig
from clv_spark.errors import ConfigError, InputError
from clv_spark.lake.hadoop import path_and_files
from clv_spark.lake.place import absolute, local_path
from clv_spark.lake.spark_errors import SPARK_ERRORS, condition

MANIFEST = "manifest.json"
_RUN_ID = "[0-9a-f]{32}"
# Nothing of a session's own settings may change a byte.
_OPTIONS = {
    "csv": {
        "header": "true",
        "quote": '"',
        # A quote within quotes is doubled, as RFC 4180 says and every reader of CSV expects.
        "escape": '"',
        "ignoreLeadingWhiteSpace": "false",
        "ignoreTrailingWhiteSpace": "false",
        "compression": "none",
    },
    "jsonl": {"ignoreNullFields": "false", "compression": "none"},
    "parquet": {"compression": "snappy"},
}


def write_export(
    rows: DataFrame, config: ExportConfig, run_id: str, manifest: Mapping[str, Any]
) -> dict[str, Any]:
    """Replace an export: readers find the old one or the new one, each whole.

    Args:
        rows: what is exported; a file for each partition.
        config: path and format.
        run_id: names what is not in place yet.
        manifest: what to say about the files, without what only they know.

    Returns:
        ``manifest``: where it was written; ``files``: name, bytes and sha256 of each, the name
        counted from the manifest's folder.

    Raises:
        ConfigError: the path is of the other kind, a folder where a file is to be or vice versa.
        InputError: Spark failed while it wrote; the export is as it was.
    """
    place = absolute(str(config.path))
    try:
        local = local_path(rows.sparkSession, place)
    except SPARK_ERRORS as error:
        raise ConfigError(f"export.path {place} cannot be used ({condition(error)})") from error
    if local is not None and config.files == 1:
        return _replace_file(rows, config.format, local, run_id, manifest)
    if local is not None and local.is_file():
        raise ConfigError(
            f"export.path {place} is a file, and export.files: {config.files} needs a folder; "
            "name another path"
        )
    return _replace_folder(rows, config.format, place, run_id, manifest)


def _replace_file(
    rows: DataFrame, format_: str, target: Path, run_id: str, manifest: Mapping[str, Any]
) -> dict[str, Any]:
    if target.is_dir():
        raise ConfigError(
            f"export.path {target} is a folder, and export.files: 1 writes a file; name a file in "
            "it, such as scores.csv"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"export.path {target} cannot be made ({error.strerror}); name a file in a folder that "
            "can be written to"
        ) from error
    with _aside(target, run_id) as folder:
        _write(rows, format_, f"file:{folder}")
        written = sorted(folder.glob("part-*"))
        if len(written) != 1:
            raise InputError(
                f"export.path {target}: {len(written)} files were written where one was expected. "
                "Name a path that the driver and all executors share"
            )
        files = [_described(rows.sparkSession, f"file:{written[0]}", target.name)]
        page = target.with_name(f"{target.name}.{MANIFEST}")
        aside = folder / MANIFEST
        aside.write_text(_text(manifest, files), encoding="utf-8")
        put_in_place(written[0], target)
        put_in_place(aside, page)
    return {"manifest": str(page), "files": files}


def put_in_place(source: Path, target: Path) -> None:
    """Let a file take the place of another in one step."""
    os.replace(source, target)


@contextmanager
def _aside(target: Path, run_id: str) -> Iterator[Path]:
    """A hidden folder beside the file, on the same disk; what a killed run left there goes too."""
    for left in target.parent.glob(f".{target.name}.*"):
        if re.fullmatch(_RUN_ID, left.name.removeprefix(f".{target.name}.")):
            shutil.rmtree(left)
    folder = target.with_name(f".{target.name}.{run_id}")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace_folder(
    rows: DataFrame, format_: str, place: str, run_id: str, manifest: Mapping[str, Any]
) -> dict[str, Any]:
    spark, page = rows.sparkSession, f"{place}/{MANIFEST}"
    root, store = path_and_files(spark, place)
    held = _folders_in_use(spark, page)
    for entry in store.listStatus(root) if store.exists(root) else ():
        name = entry.getPath().getName()
        if re.fullmatch(_RUN_ID, name) and name not in held:
            store.delete(entry.getPath(), True)
    _write(rows, format_, f"{place}/{run_id}")
    listed = store.listStatus(path_and_files(spark, f"{place}/{run_id}")[0])
    names = sorted(entry.getPath().getName() for entry in listed)
    files = [
        _described(spark, f"{place}/{run_id}/{name}", f"{run_id}/{name}")
        for name in names
        if name.startswith("part-")
    ]
    put_manifest(spark, page, _text(manifest, files))
    return {"manifest": page, "files": files}


def put_manifest(spark: SparkSession, page: str, text: str) -> None:
    """Write a small file in one step, in the way that Delta has for each store."""
    jvm: Any = spark.sparkContext._jvm
    path, _ = path_and_files(spark, page)
    lines = jvm.java.util.Collections.singletonList(text).iterator()
    scala_lines = jvm.scala.jdk.javaapi.CollectionConverters.asScala(lines)
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    log_store = jvm.org.apache.spark.sql.delta.storage.LogStore.apply(spark._jsparkSession)
    log_store.write(path, scala_lines, True, conf)


def _folders_in_use(spark: SparkSession, page: str) -> set[str]:
    """The run folders that the manifest names."""
    path, store = path_and_files(spark, page)
    if not store.exists(path):
        return set()
    jvm: Any = spark.sparkContext._jvm
    stream = store.open(path)
    try:
        text = jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")
        return {str(file["name"]).partition("/")[0] for file in json.loads(text)["files"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{page} is no manifest of an export; name a folder of its own as export.path"
        ) from error
    finally:
        stream.close()


def _write(rows: DataFrame, format_: str, folder: str) -> None:
    spark_format = "json" if format_ == "jsonl" else format_
    writer = rows.write.format(spark_format).options(**_OPTIONS[format_])
    try:
        writer.option("maxRecordsPerFile", "0").save(folder)
    except SPARK_ERRORS as error:
        raise InputError(
            f"export: writing to {folder} failed ({condition(error)}); the export is as it was. "
            "Check export.where, export.path and the rights to write there"
        ) from error


def _described(spark: SparkSession, address: str, name: str) -> dict[str, Any]:
    jvm: Any = spark.sparkContext._jvm
    path, store = path_and_files(spark, address)
    stream = store.open(path)
    try:
        digest = jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream)
    finally:
        stream.close()
    return {"name": name, "bytes": int(store.getFileStatus(path).getLen()), "sha256": str(digest)}


def _text(manifest: Mapping[str, Any], files: list[dict[str, Any]]) -> str:
    return json.dumps({**manifest, "files": files}, indent=2, ensure_ascii=False) + "\n"
