"""Check that a run is what it says: `python -m tools.verify --outputs`.

--outputs hashes every output, and what DVC's cache has of it, against dvc.lock; it names the first
damaged file and the line that puts it right. --repro runs the last commit's pipeline in a clean
temporary clone, without DVC's cache and the feature store, and names the first stage whose bytes
differ. --seeds 5 trains with five seeds, as DVC experiments, and says how far the scores vary: a
difference of two runs that is smaller may well be chance.
"""

import argparse
import tempfile
from pathlib import Path

from thaw.project.cli import run
from thaw.project.errors import UserError
from tools.experiments import seeds, sweep_runner
from tools.revisions import clean_run, dvc_repo, outputs


def check_outputs() -> None:
    with dvc_repo.opened() as repo:
        checked = []
        for out in outputs.of_stages(repo):
            damage = outputs.first_damage(out)
            if damage:
                raise UserError(str(damage))
            checked.append(out)
    if not checked:
        raise UserError("dvc.lock has no outputs; run `dvc repro` first")
    print(f"{len(checked)} outputs have the bytes of dvc.lock, here and in DVC's cache")


def check_repro() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clean_run.check(Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--outputs", action="store_true")
    what.add_argument("--repro", action="store_true")
    what.add_argument("--seeds", type=int, nargs="?", const=5, metavar="N")
    sweep_runner.add_jobs(parser)
    options = parser.parse_args()
    if options.outputs:
        check_outputs()
    elif options.repro:
        check_repro()
    else:
        print(seeds.report(options.seeds, options.jobs))


if __name__ == "__main__":
    run(main)
