"""What each of our functions does first in a worker of Spark: it makes the next task cheap."""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable
from typing import TypeVar
from zipimport import zipimporter

Data = TypeVar("Data")
Result = TypeVar("Result")


def in_worker(work: Callable[[Data], Result]) -> Callable[[Data], Result]:
    """The same function, for Spark to run in its Python workers.

    Before every task Spark's worker has Python read the directories of all archives again that
    imports went through (Spark's own, Delta's JARs, our package on a cluster), though none of them
    ever changes; after every task it collects garbage among all that scipy and pandas hold. Both
    together cost more than a small task itself.

    Args:
        work: Takes a group of rows, or an iterator over batches.

    Example:
        >>> in_worker(sum)([1, 2])
        3
    """

    def light(data: Data) -> Result:
        forget_archives()
        _leave_imported_to_itself()
        return work(data)

    return light


def forget_archives() -> None:
    """Takes the archives off the list of places that Python reads again when it is told to.

    Python asks for them anew, and knows their directories still, when an import comes by. Python
    3.12 reads them only then (CPython issue 103200); SPARK-54744 has Spark tell it less often.

    Example:
        >>> sys.path_importer_cache["some.zip"] = zipimporter.__new__(zipimporter)
        >>> forget_archives()
        >>> "some.zip" in sys.path_importer_cache
        False
    """
    for path, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimporter):
            del sys.path_importer_cache[path]


@functools.cache
def _leave_imported_to_itself() -> None:
    """Once in a worker: what is there by now is no garbage, and need not be looked through."""
    gc.freeze()
