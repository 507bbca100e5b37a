#!/bin/sh
# What each of several hosts runs to fine-tune together; Slurm and Kubernetes start it, see beside.
#
#   HOSTS       the names of all hosts, with spaces between; the first one writes what is kept
#   REPOSITORY  the address of the Git repository, whose .dvc/config names a DVC remote
#   COMMIT      what to run
#   NAME        what the experiment is called that the first host pushes
#   WORK        a folder of this host, for the clone (/tmp/thaw)
#   PORT        by which hosts speak with one another (29500)
#   THAW_VENV   a virtual environment with requirements-gpu.txt, where it should not be made
#   THAW_DRY    1 only prints the commands
#
# Arguments go to `dvc exp run`, such as -S fine_tune.epochs=20. When a host fails, start all again.
set -eu
index=${SLURM_PROCID:-${JOB_COMPLETION_INDEX:?is the number of this host, from 0 on}}
work=${WORK:-/tmp/thaw}
run=${THAW_DRY:+echo}
workers=$(for host in $HOSTS; do printf '"%s:%s",' "$host" "${PORT:-29500}"; done)
TF_CONFIG="{\"cluster\": {\"worker\": [${workers%,}]}, \"task\": {\"type\": \"worker\", \"index\": $index}}"
export TF_CONFIG
${run:+echo "TF_CONFIG=$TF_CONFIG"}

# Checkpoints are the first host's alone; all others keep their caches for themselves.
[ "$index" = 0 ] || export XDG_CACHE_HOME="$work/cache-$index"
clone=$work/$NAME-$index
$run rm -rf "$clone"
$run git clone --quiet --no-checkout "$REPOSITORY" "$clone"
[ -n "$run" ] || cd "$clone"
$run git checkout --quiet --detach "$COMMIT"
$run git config user.name "$NAME"
$run git config user.email "$NAME@localhost"
[ -n "${THAW_VENV:-}" ] || $run make --silent .venv/gpu
export PATH="${THAW_VENV:-$clone/.venv}/bin:$PATH"
$run dvc pull --quiet --run-cache --allow-missing
$run dvc exp run --pull --name "$NAME" "$@" fine_tune
[ "$index" != 0 ] || $run dvc exp push --run-cache origin "$NAME"
