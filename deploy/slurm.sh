#!/bin/sh
#SBATCH --job-name=thaw
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# Fine-tune on several nodes: push what you committed, then `sbatch deploy/slurm.sh` in the project.
# Its folder and your home should be on a disk that all nodes see. A training takes all GPUs of a node.
set -eu
HOSTS=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | tr '\n' ' ')
REPOSITORY=$(git remote get-url origin)
COMMIT=$(git rev-parse HEAD)
NAME=${NAME:-hosts-$SLURM_JOB_ID}
export HOSTS REPOSITORY COMMIT NAME

# A node that fails ends the others. The job then begins anew, and training after its last epoch.
srun --kill-on-bad-exit=1 sh deploy/host.sh "$@" && exit
[ "${SLURM_RESTART_COUNT:-0}" -lt 3 ] || exit 1
scontrol requeue "$SLURM_JOB_ID"
