"""A whole run: `run.train`, and `find.find`, which has an encoder in place of a training."""
