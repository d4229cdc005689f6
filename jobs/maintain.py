"""Put small files together and remove what retention does not keep.

`spark-submit jobs/maintain.py --conf FILE [--dry-run]`
"""

import sys

from clv_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["maintain", *sys.argv[1:]]))
