"""Conform the rows of contracts and number their lives.

`spark-submit jobs/build_contracts.py --conf FILE`
"""

import sys

from clv_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["build-contracts", *sys.argv[1:]]))
