"""Conform the transactions and count them by customer and day.

`spark-submit jobs/build_customer_days.py --conf FILE`
"""

import sys

from clv_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["build-customer-days", *sys.argv[1:]]))
