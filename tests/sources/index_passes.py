"""Index passes over the photos of the fixture `folder`."""

from dimmagen.sources import parse_specs
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.index_pass import ScanExecution, index_candidates
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.scan import scan
from dimmagen.sources.scan_keys import ScanSettings
from tests.commands import exit_code

FILES = 40  # three ranges


def look(*texts, kept=None, on_file=lambda: None, rescan=False, scenes=None, stored=True, **choices):
    files = list_candidate_files(parse_specs([str(text) for text in texts])).files
    settings = ScanSettings(scenes, PhotoSelection(**choices), stored)
    execution = ScanExecution(workers=2, rescan=rescan)
    return list(index_candidates(files, settings, execution, kept, on_file))


def plainly(*texts):
    return list(scan(list_candidate_files(parse_specs([str(text) for text in texts])).files))


def run(*words):
    return exit_code("build-mixhq", *words)
