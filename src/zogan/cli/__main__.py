"""`python -m zogan.cli`, for where the `zogan` script is not on the path."""

from zogan.cli import main

main()
