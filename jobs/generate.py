"""Write synthetic transactions or contracts from a known world.

`spark-submit jobs/generate.py --out FOLDER`
"""

import sys

from clv_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["generate", *sys.argv[1:]]))
