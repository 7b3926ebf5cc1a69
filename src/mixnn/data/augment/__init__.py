"""Augmentation of batches, on the device they live on."""
