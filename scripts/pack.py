"""Helper of spark-submit.sh: pack the package for executors, name the Delta packages to add."""

import sys
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def pack(target: Path) -> None:
    """Write clv_spark into a zip that Python imports from."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((ROOT / "clv_spark").rglob("*")):
            if path.is_file() and path.suffix in (".py", ".typed"):
                archive.write(path, path.relative_to(ROOT))


def delta_options(spark_version: str) -> list[str]:
    """Delta's Maven coordinates for this Spark, and what not to fetch as Spark brings it."""
    try:
        delta = version("delta-spark")
    except PackageNotFoundError:
        raise SystemExit(1) from None
    sys.path.insert(0, str(ROOT))
    from clv_spark.session import SPARK_BRINGS

    # Delta 4.0 was made for one Spark; since 4.1 the name says for which.
    spark = "" if delta.startswith("4.0.") else "_" + ".".join(spark_version.split(".")[:2])
    return [f"io.delta:delta-spark{spark}_2.13:{delta}", ",".join(SPARK_BRINGS)]


if __name__ == "__main__":
    if sys.argv[1] == "zip":
        pack(Path(sys.argv[2]))
    else:
        sys.stdout.write(" ".join(delta_options(sys.argv[2])) + "\n")
