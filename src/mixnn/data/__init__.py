"""From DATA to batches: read, noise, hold-out, decoded images, augmentation."""
