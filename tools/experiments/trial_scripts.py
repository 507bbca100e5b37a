"""A sweep as shell scripts, one for each trial, for other machines: what `--emit` writes."""

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from thaw.project.errors import UserError
from thaw.project.plain_text import one_line
from tools.experiments import dvc_experiments
from tools.experiments.plan import PlannedRun
from tools.revisions import dvc_repo

# A trial works in a clone of its own and, with all others of its machine, on one cache: there a
# killed one finds the stages that it had done, and its training's checkpoint in the user's cache.
SCRIPT = """#!/bin/sh
# Trial {name}, wave {wave}: {comment}; runs {stages}.
# Needs git, flock and make, or instead of make THAW_VENV, a virtual environment that has
# requirements.txt (on a GPU requirements-gpu.txt). Works in THAW_SWEEP, ~/.cache/thaw/sweep by
# default. Run again what failed.
set -eu
name={name}
commit={commit}
repository={repository}
work=${{THAW_SWEEP:-${{XDG_CACHE_HOME:-$HOME/.cache}}/thaw/sweep}}
venv=${{THAW_VENV:-$work/venv}}

if git ls-remote --exit-code "$repository" "refs/exps/*/$name" >/dev/null; then
  echo "$name is done"
  exit
fi
mkdir -p "$work" "$venv"
exec 9>"$work/$name.lock" # held until all that this starts has ended
flock --nonblock 9 || {{ echo "error: $name is being run in $work" >&2; exit 1; }}
rm -rf "${{work:?}}/$name"
git clone --quiet --no-checkout "$repository" "$work/$name"
cd "$work/$name"
git checkout --quiet --detach "$commit"
git config user.name {user}
git config user.email {email}
cd {inside}
if [ -z "${{THAW_VENV:-}}" ]; then
  ln -s "$venv" .venv
  echo .venv >>"$work/$name/.git/info/exclude"
  flock "$work/venv.lock" make --silent .venv/run
fi
export PATH="$venv/bin:$PATH"
dvc cache dir --quiet --local "$work/cache"
dvc pull --quiet --run-cache --allow-missing
dvc exp run --pull --name "$name" {run}
dvc exp push --quiet --run-cache origin "$name"
cd "$work"
rm -rf "${{work:?}}/$name"
"""
NEXT = """{count} scripts in {dir}; to run them on any machine, wave after wave, and rank them here:
dvc push --run-cache
for wave in {dir}/wave-*; do printf '%s\\0' "$wave"/*.sh | xargs -0 -n 1 -P 2 sh || break; done
dvc exp pull --no-cache origin    # then this command again, without --emit"""


def write(runs: Sequence[PlannedRun], until: str, folder: Path) -> None:
    """Write a script for each run into folder/wave-N/NAME.sh, and say what to do with them.

    Raises UserError where other machines would not find the last commit, or what DVC keeps.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UserError(f"--emit {folder}: something is there; give a new folder")
    found = _of_repository()
    for each in runs:
        changes = [dvc_experiments.override(*change) for change in each.changes.items()]
        script = SCRIPT.format(
            name=shlex.quote(each.name),
            wave=each.wave,
            comment=one_line(", ".join(changes) or "as it is"),
            stages=", ".join(each.stages) or "nothing new",
            run=" ".join([*(f"-S {shlex.quote(change)}" for change in changes), until]),
            **{name: shlex.quote(value) for name, value in found.items()},
        )
        file = folder / f"wave-{each.wave:02}" / f"{each.name}.sh"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(script, encoding="utf-8")
    print(NEXT.format(count=len(runs), dir=shlex.quote(str(folder))))


def _of_repository() -> dict[str, str]:
    """Return where a script finds the last commit, and who commits.

    `remote` is Git's name for that place, `inside` the project's folder there.
    """
    with dvc_repo.opened() as repo:
        inside = Path(repo.root_dir).relative_to(repo.scm.root_dir)
        if "remote" not in repo.config.read("repo").get("core", {}):
            raise UserError(
                "DVC has no remote that other machines know",
                hint="`dvc remote add --default NAME ADDRESS`, and commit .dvc/config",
            )
        commit = repo.scm.get_rev()
    holding = _git("branch", "--remotes", "--contains", commit, "--format=%(refname:short)")
    if not holding:
        raise UserError("no Git remote has the last commit; `git push` brings it there")
    return {
        "commit": commit,
        "repository": _git("remote", "get-url", holding.split("/")[0]),
        "inside": str(inside),
        "user": _git("config", "user.name"),
        "email": _git("config", "user.email"),
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8", check=False)
    return done.stdout.strip()
