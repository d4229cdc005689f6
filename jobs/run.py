"""Run all stages in order.

`spark-submit jobs/run.py --conf FILE --as-of DATE`
"""

import sys

from clv_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
