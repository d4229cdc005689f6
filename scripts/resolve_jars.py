"""Start Spark once with Delta, so that its JARs are in the Ivy cache and first use is offline.

The first argument is a file that receives the path of the Delta JAR, the sign that all went well;
the second one a file that receives the classes which Java loaded, so that it starts faster later.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlparse

from pyspark.sql import SparkSession

from clv_spark.config import Config
from clv_spark.errors import ClvError
from clv_spark.session import JAVA_OPTIONS, get_session

jar_file, archive = map(Path, sys.argv[1:])
archive.unlink(missing_ok=True)
keep = f"-XX:ArchiveClassesAtExit={archive} -Xlog:disable -Xlog:all=error:stderr"


def started(java_options: str) -> SparkSession:
    """Our own session: what is fetched here is exactly what a job asks for later."""
    conf = {JAVA_OPTIONS: java_options}
    return get_session(Config.model_validate({"spark": {"conf": conf}}), "clv_spark setup")


try:
    spark = started("" if " " in str(archive) else keep)
except ClvError:
    # Not every Java can keep classes, and Spark starts without.
    spark = started("")
java = spark.sparkContext._gateway.proc
try:
    with tempfile.TemporaryDirectory() as folder:
        spark.range(3).coalesce(1).write.format("delta").save(f"{folder}/probe")
        rows = spark.read.format("delta").load(f"{folder}/probe").count()
    if rows != 3:
        raise SystemExit(f"the Delta probe read {rows} rows instead of 3")
    jars = [unquote(urlparse(jar).path) for jar in spark.conf.get("spark.jars", "").split(",")]
    delta = [jar for jar in jars if "io.delta_delta-spark_" in jar]
    if not delta:
        raise SystemExit(f"no Delta JAR among {jars}")
    jar_file.write_text(delta[0] + "\n", encoding="utf-8")
finally:
    spark.stop()
    # Java writes the archive when it ends, which it does when nobody talks to it any more.
    java.stdin.close()
    try:
        java.wait(300)
    except subprocess.TimeoutExpired:
        # Half an archive is none, and Spark starts without one.
        java.kill()
        archive.unlink(missing_ok=True)
