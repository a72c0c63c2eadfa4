"""``python -m heterodot``: the command line, for machines whose PATH lacks it."""

import sys

from heterodot.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
