"""Where the work on many files is done: in this process, or by Ray on one machine or many.

An engine decides nothing about results. What is done to an item depends on that item alone, and
whoever asks joins the answers by row.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from thaw.project.settings import Runtime

SHARD = 1024  # items, at most

Prepared = TypeVar("Prepared")
Result = TypeVar("Result")


def map_shards(
    function: Callable[[Sequence[tuple], Prepared], Result], items: Sequence[tuple],
    runtime: Runtime, prepare: Callable[[], Prepared] | None = None, most: int | None = None,
) -> Iterator[tuple[slice, Result]]:  # fmt: skip
    """Yield rows of `items` with what `function` returns for them, each as soon as it is there.

    items: tuples that begin with the path of a file; elsewhere it gets the path that the file has
    there. prepare: makes what `function` takes besides, once in each process; None for None. With
    the engine local all items are one shard, and `function` is called here. With ray `function` and
    `prepare` are pickled, and a shard has up to `most` items (SHARD where it is None). Raises what
    `function` raises of UserError and OSError, and UserError for a shard that fails for good.
    """
    if runtime.engine == "ray":
        from thaw.project import ray_engine  # here, as nobody else waits for Ray

        yield from ray_engine.map_shards(function, items, runtime, prepare, most or SHARD)
    elif items:
        yield slice(0, len(items)), function(items, prepare and prepare())
