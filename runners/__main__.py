"""`python -m runners`: the same as the console script, where there is none on the path."""

from runners.cli.main import main

main()
