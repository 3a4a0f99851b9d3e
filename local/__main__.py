"""`python -m local`: runs the world, or tells a running one what to do."""

import sys

from local.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
