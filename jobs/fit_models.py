"""Fit the models, one row per segment.

`spark-submit jobs/fit_models.py --conf FILE --as-of DATE`
"""

import sys

from clv_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["fit-models", *sys.argv[1:]]))
