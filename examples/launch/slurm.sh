#!/usr/bin/env bash
# Two machines with four GPUs each: DATA=photos/ OUT=runs/first sbatch examples/launch/slurm.sh
# DATA and OUT lie on a file system that both machines see.
#SBATCH --job-name=mixnn
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

# One task a machine: torchrun starts the processes there, one for each GPU. They meet at the first machine.
machines=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
first=${machines%%$'\n'*}
port=$((20000 + SLURM_JOB_ID % 10000)) # not that of another job on the same machine

# --resume starts a run that is not there yet, so that the same file goes on with one that was stopped.
srun --kill-on-bad-exit=1 torchrun \
    --nnodes "$SLURM_NNODES" --nproc-per-node "${PROCESSES:-4}" \
    --rdzv-backend c10d --rdzv-endpoint "$first:$port" --rdzv-id "$SLURM_JOB_ID" \
    -m mixnn train "$DATA" --out "$OUT" --resume "$@"
