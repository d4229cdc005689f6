"""Sum up what it cost to serve and to win each customer.

`spark-submit jobs/build_costs.py --conf FILE --as-of DATE`
"""

import sys

from clv_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["build-costs", *sys.argv[1:]]))
