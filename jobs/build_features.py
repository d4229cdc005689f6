"""Fold the customer-days into one row per customer.

`spark-submit jobs/build_features.py --conf FILE --as-of DATE`
"""

import sys

from clv_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["build-features", *sys.argv[1:]]))
