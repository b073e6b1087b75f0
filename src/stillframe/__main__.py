"""`python -m stillframe` is the command `stillframe`."""

from stillframe.cli.entry import main

main()
