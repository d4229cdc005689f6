"""Check that the versions fit together and the lake can be written.

`spark-submit jobs/doctor.py --conf FILE`
"""

import sys

from clv_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["doctor", *sys.argv[1:]]))
