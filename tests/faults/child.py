"""One run in a process of its own that stops at a named point: killed, or held until it is killed.

`python child.py CONF DATE POINT [MARKER]`; with a file MARKER it is made at the point, and the run
then waits. For a point of the export it exports instead.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
import time
from pathlib import Path

from clv_spark import pipelines
from clv_spark.config import load_config
from clv_spark.pipelines import run_context
from clv_spark.session import get_session


def main(conf: str, day: str, point: str, marker: str | None = None) -> None:
    config = load_config(conf)
    original = run_context.reached

    def reached(name: str) -> None:
        original(name)
        if name != point:
            return
        if marker is not None:
            Path(marker).touch()
            time.sleep(600)
        os.kill(os.getpid(), signal.SIGKILL)

    # Each stage has imported the function by its name.
    for module in list(sys.modules.values()):
        if getattr(module, "reached", None) is original:
            vars(module)["reached"] = reached
    if point.startswith("export:"):
        pipelines.export(get_session(config), config)
    else:
        pipelines.run(get_session(config), config, dt.date.fromisoformat(day))


if __name__ == "__main__":
    main(*sys.argv[1:])
