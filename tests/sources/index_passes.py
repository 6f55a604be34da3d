"""Index passes over the photos of the fixture `folder`."""

import pytest

from dimmagen.cli import main
from dimmagen.sources import parse_specs
from dimmagen.sources.index_pass import ScanExecution, index_candidates
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.scan import list_candidate_files, scan
from dimmagen.sources.scan_keys import ScanSettings

FILES = 40  # three ranges


def look(*texts, kept=None, on_file=lambda: None, rescan=False, scenes=None, stored=True, **choices):
    files = list_candidate_files(parse_specs([str(text) for text in texts])).files
    settings = ScanSettings(scenes, PhotoSelection(**choices), stored)
    execution = ScanExecution(workers=2, rescan=rescan)
    return list(index_candidates(files, settings, execution, kept, on_file))


def plainly(*texts):
    return list(scan(list_candidate_files(parse_specs([str(text) for text in texts])).files))


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main(["build-mixhq", *map(str, words)])
    return ended.value.code
