"""``python -m clv_spark`` is the command clv-spark."""

from clv_spark.cli import entry_point

if __name__ == "__main__":
    entry_point()
