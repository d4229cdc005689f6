"""Score every customer and publish the scores.

`spark-submit jobs/score_customers.py --conf FILE --as-of DATE`
"""

import sys

from clv_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["score-customers", *sys.argv[1:]]))
