#!/usr/bin/env bash
# Four machines: DATA=photos/ FEATURES=features/ OUT=runs/first sbatch examples/launch/ray_slurm.sh
# All three lie on a file system that every machine sees; DATA and FEATURES may be addresses such as s3://bucket/photos.
#SBATCH --job-name=mixnn-find
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

machines=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
first=${machines%%$'\n'*}
port=$((20000 + SLURM_JOB_ID % 10000)) # not that of another job on the same machine
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300 # seconds; Ray's own 30 are few where machines start one by one
export WORKERS=${WORKERS:-64}

# Ray starts on every machine, and the command on the first. Shards that are there stay, so the same file goes on with
# a job that was stopped.
srun --kill-on-bad-exit=1 ray symmetric-run --address "$first:$port" --min-nodes "$SLURM_NNODES" -- bash -c '
    mixnn embed-shards "$DATA" --ray "$WORKERS" --out "$FEATURES" "$@" &&
    mixnn find "shards:$FEATURES" --ray "$WORKERS" --out "$OUT"' mixnn "$@"
