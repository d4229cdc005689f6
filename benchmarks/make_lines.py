"""Write the lines that the benchmark reads, once, in a process of its own.

The files are slices of time, as a shop's own exports are, so each holds most of the customers.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date

from clv_spark.config import Config
from clv_spark.pipelines.generate import generate
from clv_spark.session import get_session

START, END = "2022-01-01", date(2023, 12, 31)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--customers", required=True, type=int)
    parser.add_argument("--lines", required=True, type=int)
    parser.add_argument("--ids", required=True, choices=("int", "string"))
    parser.add_argument("--start", default=START, type=date.fromisoformat)
    options = parser.parse_args()
    result = generate(
        get_session(Config()),
        out=options.out,
        customers=options.customers,
        lines=options.lines,
        start=options.start,
        end=END,
        ids=options.ids,
        seed=1,
        by_time=True,
    )
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
