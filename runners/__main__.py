"""`python -m runners` does the same as the console script, also if the script is not on the path."""

from runners.cli.main import main

main()
