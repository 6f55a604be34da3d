"""The contract of an archive format, as a test that its author runs: `dimmagen.check_archive`."""

import json

from dimmagen.core.promises import check
from dimmagen.images.codec import IMAGE_EXTENSIONS
from dimmagen.sources.archive_formats import ArchiveFormat, format_faults


def check_archive(archive: ArchiveFormat, path: str) -> None:
    """Check that an archive format keeps the promises that sources rely on.

    It lists the same images in every run, each under a name of its own with an ending as image files have
    it, with its size in bytes, and at a place that JSON preserves; and it reads each of them by that place,
    in any order, as often as it is asked to.

    Args:
        archive: an instance of the registered class, such as `ImageParquet()`.
        path: of a file of that format with at least one image, better with several.

    Raises:
        AssertionError: a promise is broken; the message says which one and how.
    """
    path = str(path)
    check(
        not isinstance(archive, type), f"{archive!r} is not an archive format: give an instance of its class"
    )
    faults = list(format_faults("", archive))
    check(not faults, f"{archive!r} is not an archive format: {'; '.join(faults)}")
    check(path.lower().endswith(archive.endings), f"{path} has none of the endings {archive.endings}")
    members = list(archive.members(path))
    check(bool(members), f"{path} has no member: give a file with at least one image")
    for member in members:
        check(isinstance(member, tuple) and len(member) == 3, f"{member!r} is not (name, size, place)")
    names = [name for name, _, _ in members]
    for name in names:
        check(isinstance(name, str), f"the name {name!r} is not a text")
        check(name.lower().endswith(IMAGE_EXTENSIONS), f"the name {name!r} does not end as image files do")
    check(len(set(names)) == len(names), "two members have one name")
    check(list(archive.members(path)) == members, "the members are others the second time")
    read = {}
    for name, size, place in reversed(members):
        try:
            stored = json.loads(json.dumps(place))
        except (TypeError, ValueError) as error:
            raise AssertionError(f"JSON cannot hold the place {place!r} of {name}: {error}") from error
        read[name] = archive.read(path, stored)
        check(
            isinstance(read[name], bytes), f"read() gives {type(read[name]).__name__} for {name}, not bytes"
        )
        check(len(read[name]) == size, f"{name} has {len(read[name])} bytes, but is listed with {size!r}")
    for name, _, place in members:
        again = archive.read(path, json.loads(json.dumps(place)))
        check(again == read[name], f"read() gives other bytes for {name} the second time")
