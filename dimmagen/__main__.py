"""`python -m dimmagen` is `dimmagen`."""

from dimmagen.cli import main

if __name__ == "__main__":
    main()
