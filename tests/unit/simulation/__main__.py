"""`python -m tests.unit.simulation`: see command_line."""

import sys

if __name__ == "__main__":
    try:
        # All imports take a second or two, in which an interruption is as likely as later.
        from tests.unit.simulation.command_line import main

        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
