"""Packages that only some features need: the extras of dimmagen."""

from dimmagen.core.errors import UsageError, Ways


def missing_package(what: str, package: str, extra: str, error: Exception, instead: str = "") -> UsageError:
    """The error of a feature whose package cannot be imported.

    A package that is installed but fails (as one of its own is missing, or of another version, with almost
    any exception) is said to fail, with the reason: to install what is installed helps nobody.

    Args:
        what: needs the package, such as `s3:// URLs need`.
        package: to import.
        extra: of dimmagen, which installs it.
        error: of the import.
        instead: what else can be done, such as "give another `architecture`".
    """
    absent = isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == package
    why = "" if absent else f", which is installed but fails ({' '.join(str(error).split())})"
    install = f"pip install {'' if absent else '--upgrade '}'dimmagen[{extra}]'"
    return UsageError(
        f"{what} the package {package}{why}",
        Ways.of(install, instead) if instead else install,
        code="missing-package",
        package=package,
    )
