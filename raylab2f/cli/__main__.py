"""`python -m raylab2f.cli`: the program where no script is installed, such as in a job."""

from raylab2f.cli.app import main

main()
