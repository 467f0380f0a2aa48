#!/bin/bash
#SBATCH --job-name=vision
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=USR1@300
export OMP_WAIT_POLICY=PASSIVE NO_ALBUMENTATIONS_UPDATE=1
srun --kill-on-bad-exit=1 .venv/bin/python -m pipeline.train trainer=slurm task=classification model=resnet50 \
    data=imagenet data.num_workers=8 optimizer.scale_lr=linear
