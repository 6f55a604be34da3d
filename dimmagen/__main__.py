"""`python -m dimmagen` is `dimmagen`."""

from dimmagen.cli import main

main()
