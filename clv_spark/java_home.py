"""Use the Java that `make setup` chose, also when a command is started directly."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path


def use_chosen_java(environment_folder: Path = Path(sys.prefix)) -> None:
    """Set JAVA_HOME to what set-up wrote into the virtual environment, unless it is set.

    Args:
        environment_folder: the virtual environment; set-up leaves ``clv_env`` in it.
    """
    chosen = environment_folder / "clv_env"
    if "JAVA_HOME" in os.environ or not chosen.exists():
        return
    for word in shlex.split(chosen.read_text(encoding="utf-8")):
        name, equals, value = word.partition("=")
        if equals and name == "JAVA_HOME":
            os.environ["JAVA_HOME"] = value
