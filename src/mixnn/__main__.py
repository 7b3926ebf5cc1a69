"""`python -m mixnn`, which is what `torchrun -m mixnn` starts."""

import os
import sys

# The folder of the call comes first here: a file in it that is called as a library would run in the library's place.
if not sys.flags.safe_path and os.path.isdir(".") and sys.path[0] == os.getcwd():
    del sys.path[0]

from mixnn.cli.main import entry

entry()
