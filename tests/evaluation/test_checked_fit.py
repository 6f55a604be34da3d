"""What a fitted profile notes about its pairs."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from dimmagen.dimmers.camera.stored import model_files
from dimmagen.dimmers.pair_problems import PairProblem
from dimmagen.evaluation import profile_sheet
from dimmagen.evaluation.checked_fit import CheckedFit
from tests.cameras import camera


@pytest.mark.parametrize("notes", [["were JPEGs"], []])
def test_the_notes_are_those_of_the_fit_and_the_problems_of_the_pairs(notes, tmp_path, monkeypatch):
    monkeypatch.setattr(profile_sheet, "profile_sheet", lambda *_: b"")
    provenance = {"seed": 1, **({"notes": notes} if notes else {})}
    fitted = SimpleNamespace(models=[model_files(camera())], camera=camera(), provenance=provenance)
    problem = PairProblem("1", "shifted", "is shifted", fatal=False)
    saved = CheckedFit(fitted, None, []).save(tmp_path / "mine", "camera", [problem])
    assert saved.provenance["notes"] == [*notes, "pair 1 is shifted"]


@pytest.mark.parametrize(("backend", "kept"), [("Qt4Agg", False), ("svg", True)])
def test_pictures_are_drawn_where_matplotlib_does_not_know_the_backend_that_is_set(backend, kept):
    """MPLBACKEND may be one of a former version: a fit ended with a traceback, after all of its work."""
    code = (
        "import os\nfrom dimmagen.evaluation.realism_plots import Figure, mpl\n"
        "print(Figure().dpi, mpl.rcParams['backend'], os.environ['MPLBACKEND'])"
    )
    environment = {**os.environ, "MPLBACKEND": backend}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    _, used, named = done.stdout.split()
    assert (used == backend, named) == (kept, backend)
