"""Customer lifetime value at scale: Spark features, models fitted on counts, Delta tables."""

__version__ = "0.1.0"
