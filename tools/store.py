"""Look at the feature store, and make room: `python -m tools.store [--prune GIGABYTES]`.

Prints where it is, how much it has and how large it is. --prune removes what was not used for
longest until so much is left; 0 empties it. Nothing depends on what is in it.
"""

import argparse

from thaw.features.store import open_store
from thaw.features.store_file import UNUSABLE, advice, is_damage
from thaw.project import params
from thaw.project.cli import run
from thaw.project.errors import UserError
from thaw.project.settings import Runtime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prune", type=float, metavar="GIGABYTES")
    options = parser.parse_args()
    runtime = params.load(Runtime, "runtime")
    if runtime.store_file is None:
        raise UserError("null means that there is no store", "runtime.store")
    if options.prune is not None and options.prune < 0:
        raise UserError("--prune should be at least 0")
    if not runtime.store_file.is_file():
        print(f"{runtime.store_file}: nothing is there yet")
        return
    with open_store(runtime) as kept:
        if not kept.connection:  # and it said why
            raise UserError(f"{runtime.store_file} cannot be used")
        try:
            if options.prune is not None:
                kept.prune(options.prune * 1e9)
            count, size = kept.count(), kept.size()
        except UNUSABLE as error:
            kept.close(is_damage(error))
            todo = advice(error, runtime.store_file)
            raise UserError(f"{runtime.store_file}: {error}", hint=todo) from None
    print(
        f"{runtime.store_file}: {count} features of images and augmented copies, and networks; "
        f"{size / 1e6:.1f} MB of at most {runtime.store_gigabytes * 1e3:.0f} MB"
    )


if __name__ == "__main__":
    run(main)
