"""Print the configuration in force, secrets masked.

`spark-submit jobs/show_config.py --conf FILE`
"""

import sys

from clv_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["show-config", *sys.argv[1:]]))
