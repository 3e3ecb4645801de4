"""The command: `python -m tfarrow`, and `tfarrow` where the package is installed."""

import sys

from tfarrow import _tfarrow


def main() -> int:
    """Runs the command with the arguments of the process."""
    return _tfarrow.run_command(["tfarrow", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
