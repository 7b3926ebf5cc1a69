"""`python -m mixnn`, which is what `torchrun -m mixnn` starts."""

from mixnn.cli import entry

entry()
