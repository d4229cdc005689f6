"""Write the published scores to files for a CRM: CSV, Parquet or JSON lines, with a manifest.

`spark-submit jobs/export.py --conf FILE [--set export.path=FILE]`
"""

import sys

from clv_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
