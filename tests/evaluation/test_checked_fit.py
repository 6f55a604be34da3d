"""What a fitted profile notes about its pairs."""

from types import SimpleNamespace

import pytest

from dimmagen.dimmers.camera.stored import model_files
from dimmagen.dimmers.real_pairs import PairProblem
from dimmagen.evaluation import profile_picture
from dimmagen.evaluation.checked_fit import CheckedFit
from tests.cameras import camera


@pytest.mark.parametrize("notes", [["were JPEGs"], []])
def test_the_notes_are_those_of_the_fit_and_the_problems_of_the_pairs(notes, tmp_path, monkeypatch):
    monkeypatch.setattr(profile_picture, "profile_picture", lambda *_: b"")
    provenance = {"seed": 1, **({"notes": notes} if notes else {})}
    fitted = SimpleNamespace(models=[model_files(camera())], camera=camera(), provenance=provenance)
    problem = PairProblem("1", "shifted", "is shifted", fatal=False)
    saved = CheckedFit(fitted, None, []).save(tmp_path / "mine", "camera", [problem])
    assert saved.provenance["notes"] == [*notes, "pair 1 is shifted"]
