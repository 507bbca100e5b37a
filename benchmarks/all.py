"""Measure anew what is older than the code: `python -m benchmarks.all FOLDER --minutes 10`.

FOLDER has the archives that the benchmarks name. Each JSON file in benchmarks/ knows its command
and commit; those whose code has changed since are run again, one after the other, and
docs/performance.md gets their tables. With --minutes none begins that took longer, when it was
measured last, than what is left. So all fit into parts: run it until it says that nothing is left.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import tables
from benchmarks.timing import CODE, FOLDER
from thaw.project.cli import run
from thaw.project.errors import UserError


def measured(folder: Path = FOLDER) -> dict[str, tuple[str | None, float]]:
    """Return each command with its commit and seconds, the shortest first. Some write two files."""
    found = {}
    for file in sorted(folder.glob("*.json")):
        each = json.loads(file.read_text(encoding="utf-8"))
        found[each["command"]] = each["commit"], each.get("seconds", 0.0)
    return dict(sorted(found.items(), key=lambda item: item[1][1]))


def is_current(commit: str | None) -> bool:
    """Say whether the code is still that of `commit`; never for null, and for "-dirty" ones."""
    if commit is None:
        return False
    done = subprocess.run(["git", "diff", "--quiet", commit, "--", *CODE], capture_output=True)
    return done.returncode == 0


def arguments(command: str, folder: Path) -> list[str]:
    """Return what to run: names of files in `folder` become their paths.

    Raises UserError when an archive is not there.
    """
    words = shlex.split(command)
    missing = [word for word in words if word.endswith(".zip") and not (folder / word).is_file()]
    if missing:
        raise UserError(f"{folder}: {missing[0]} is not there, which `{command}` needs")
    return [str(folder / word) if (folder / word).is_file() else word for word in words[1:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    options = parser.parse_args()
    commands = measured()
    stale = [command for command, (commit, _) in commands.items() if not is_current(commit)]
    planned = {command: arguments(command, options.folder) for command in stale}
    end = time.monotonic() + 60 * options.minutes
    while stale and time.monotonic() + commands[stale[0]][1] <= end:
        command = stale.pop(0)
        print(f"{command}, which took {commands[command][1]:.0f} s before", flush=True)
        if subprocess.run([sys.executable, *planned[command]]).returncode:
            raise UserError(f"`{command}` failed, see above")
        tables.main()
    print("nothing is left" if not stale else f"{len(stale)} left: {', '.join(stale)}")


if __name__ == "__main__":
    run(main)
