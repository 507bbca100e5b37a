"""What a worker of Ray does with a shard; see ray_engine, which sends it."""

import functools
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from thaw.project import software
from thaw.project.errors import UserError


class Shard(NamedTuple):
    """A shard on its way: its items, and the bytes of their files, or None where a host has these.

    folder: that relative paths begin at. there: one of the files that the asking host has, where
    this one should have it, too; else None.
    """

    items: Sequence[tuple]
    contents: list[np.ndarray] | None
    folder: Path
    there: Path | None = None


class Failure(NamedTuple):
    """What a task raised that the user can mend."""

    error: UserError | OSError


_prepared: dict[str, object] = {}


def work(shard: Shard, prepare: list, function: Callable, expected: dict) -> object:
    """Call `function` with a shard's items, whose files are where this host has them.

    prepare: the reference to what prepares, called once in this process. expected: this host's
    `identity`. Returns Failure where the user can mend what was raised.
    """
    import ray

    try:
        _check_host(expected)
        [key] = prepare
        if key.hex() not in _prepared:
            _prepared.clear()
            _prepared[key.hex()] = ray.get(key)()
        with tempfile.TemporaryDirectory() as folder:
            items = _placed(shard, Path(folder))
            try:
                return function(items, _prepared[key.hex()])
            except UserError as error:
                for (place, *_), (path, *_) in zip(items, shard.items):
                    error.problem = error.problem.replace(str(place), str(path))
                raise
    except (UserError, OSError) as error:
        return Failure(error)


def _placed(shard: Shard, folder: Path) -> Sequence[tuple]:
    """Return the items with the paths that their files have here."""
    if shard.contents is None:
        _check_shared(shard)
        return [(shard.folder / path, *rest) for path, *rest in shard.items]
    places = [folder / f"{row:06}" for row in range(len(shard.items))]
    for place, content in zip(places, shard.contents, strict=True):
        content.tofile(place)
    return [(place, *rest) for place, (_, *rest) in zip(places, shard.items)]


def _check_shared(shard: Shard) -> None:
    """Raise UserError where this host lacks the folder, as all its images would seem missing."""
    if shard.there is not None and not (shard.folder / shard.there).exists():
        raise UserError(
            f"Ray: host {socket.gethostname()} has no {shard.there}, which this one has",
            "runtime.shared_folder",
            "set it to false, or let all hosts have the folder under the same path",
        )


@functools.cache
def identity() -> dict:
    """Return what decides the last digits of a result on this host."""
    return software.identity([""])


def _check_host(expected: dict) -> None:
    """Raise UserError where this host would give other digits than the one that asks."""
    found = identity()
    if found != expected:
        other = [key for key in expected | found if expected.get(key) != found.get(key)]
        raise UserError(
            f"Ray: host {socket.gethostname()} has other {', '.join(other)} than this one, so last "
            "digits may differ",
            hint="let all hosts of the cluster have the same processor and packages",
        )
