"""`python -m mixnn`, which is what `torchrun -m mixnn` starts."""

import sys

from mixnn.cli import main

sys.exit(main())
