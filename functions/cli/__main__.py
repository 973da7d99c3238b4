"""`python -m functions.cli`: the same as `fabric-sync`, from a checkout."""

from functions.cli import main

main()
