"""`python -m hutong` is the `hutong` command."""

from hutong.app.cli import main

main()
