"""Use the Java that `make setup` chose, and the classes it kept, wherever a command is started."""

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


def process_options() -> str:
    """Options for Java to start other programs quickly; none where there is no such way.

    For every local file, and its checksum, Hadoop starts chmod several times: a table of thousands
    of folders has it start ten thousand processes. Java's usual way goes by a program of its own.
    """
    linux = sys.platform == "linux"
    return "-Djdk.lang.Process.launchMechanism=VFORK" if linux else ""


def compiler_options() -> str:
    """Options for Java to put less of the methods it calls into each method that it compiles.

    A run plans some hundred queries, each with code of its own: half of the processor time of a
    short run is Java compiling Spark. With less in each method it is done sooner.
    See docs/decisions/0020-java-compiles-less.md.
    """
    return "-XX:MaxInlineLevel=6 -XX:InlineSmallCode=800 -XX:FreqInlineSize=150"


def class_archive_options(environment_folder: Path = Path(sys.prefix)) -> str:
    """Options for Java to take its classes from the archive that set-up made; none without one.

    Spark loads some twenty thousand classes before it does anything, which takes seconds. Java
    itself passes over an archive of another Java or of other JARs, and says so in Spark's log
    instead of on standard output.

    Args:
        environment_folder: the virtual environment; set-up leaves ``clv_classes.jsa`` in it.
    """
    archive = environment_folder / "clv_classes.jsa"
    # A path with a blank would be two options.
    if not archive.exists() or " " in str(archive):
        return ""
    return f"-XX:SharedArchiveFile={archive} -Xlog:disable -Xlog:all=warning:stderr"
