"""`python -m mixnn`, which is what `torchrun -m mixnn` starts."""

from mixnn.cli.main import entry

entry()
