"""Write synthetic transactions from a known world.

`spark-submit jobs/generate.py --conf FILE`
"""

import sys

from clv_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["generate", *sys.argv[1:]]))
