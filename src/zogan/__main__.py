"""`python -m zogan`, for where the `zogan` script is not on the path."""

from zogan.cli import main

main()
