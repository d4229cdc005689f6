"""Package description; the tried versions are pinned in constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

# Read, not imported: an import would need the very packages that are about to be installed.
VERSION = re.search(
    r'^__version__ = "([^"]+)"',
    (Path(__file__).parent / "clv_spark" / "__init__.py").read_text(encoding="utf-8"),
    re.MULTILINE,
)
if VERSION is None:
    raise SystemExit('clv_spark/__init__.py has no line __version__ = "..."')

README = Path(__file__).parent / "README.md"

setup(
    name="clv-spark",
    version=VERSION[1],
    description="Customer lifetime value at scale on Apache Spark and Delta Lake",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    packages=find_packages(include=["clv_spark", "clv_spark.*"]),
    package_data={"clv_spark": ["py.typed"]},
    python_requires=">=3.11,<3.13",
    install_requires=[
        "numpy>=1.26",
        "scipy>=1.11",
        "pandas>=2.2,<3",
        "pyarrow>=15",
        "pydantic>=2",
        "PyYAML>=6",
        "filelock>=3.12",
    ],
    extras_require={
        # A cluster brings its own Spark and Delta, so they are not among the requirements.
        "local": ["pyspark>=4.0,<4.2", "delta-spark>=4.0,<5"],
        "test": [
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            "hypothesis",
            "ruff",
            "mypy",
            "pandas-stubs",
            "types-PyYAML",
            "scipy-stubs",
            "duckdb",
            "duckdb-extension-delta",
            "polars",
            "deltalake",
            "nbclient",
            "nbformat",
            "ipykernel",
            "matplotlib",
        ],
        "bench": ["duckdb", "lifetimes", "psutil"],
        "notebook": ["matplotlib", "ipykernel", "deltalake"],
    },
    entry_points={"console_scripts": ["clv-spark = clv_spark.cli:entry_point"]},
)
