"""Show how the source is read, without writing anything.

`spark-submit jobs/check_source.py --conf FILE`
"""

import sys

from clv_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["check-source", *sys.argv[1:]]))
