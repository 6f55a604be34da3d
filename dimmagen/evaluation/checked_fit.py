"""A profile from pairs: fitted, checked on pairs that a fit did not see, and drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dimmagen.dimmers.fit import FittedProfile, fit_models
from dimmagen.dimmers.pair_problems import PairProblem
from dimmagen.dimmers.profile import Profile, save_profile
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.evaluation.profile_check import KEY, HeldOutPair, ProfileCheck, check_profile, hold_out_pairs

_FIT_SHARE = 0.6  # of all work


@dataclass(frozen=True, slots=True)
class CheckedFit:
    """A fit and its check.

    Attributes:
        fitted: the models and their provenance.
        check: None if nothing could be measured.
        held_out: the pairs that the check is of.
    """

    fitted: FittedProfile
    check: ProfileCheck | None
    held_out: list[HeldOutPair]

    def save(self, folder: Path, default_model: str, problems: Sequence[PairProblem]) -> Profile:
        """Write the profile with its sheet; as :func:`~dimmagen.dimmers.profile.save_profile`.

        Args:
            folder: must not exist.
            default_model: kind of model.
            problems: of the pairs, which the provenance notes, after the fit's own notes.
        """
        from dimmagen.evaluation.profile_sheet import profile_sheet  # matplotlib takes a second to import

        fitted = self.fitted.provenance
        notes = [*fitted.get("notes", ()), *map(str, problems)]
        provenance = {**fitted, "notes": notes}
        if self.check:
            provenance[KEY] = self.check.model_dump()
        camera = self.fitted.camera
        sheet = profile_sheet(folder.name, camera, self.check, self.held_out)
        return save_profile(folder, self.fitted.models, default_model, provenance, sheet=sheet)


def fit_and_check(
    pairs: Sequence[RealPair],
    seed: int = 0,
    progress: Callable[[str, float], None] = lambda stage, done: None,
) -> CheckedFit:
    """Fit every kind of dimmer model, and check the camera model on pairs that a fit did not see.

    Args:
        pairs: checked pairs of one camera.
        seed: the same seed gives the same profile.
        progress: called with the current stage and the completed fraction of all work, in [0, 1].

    Raises:
        DimmagenError: the pairs contain too little signal for a fit.
    """
    fitted = fit_models(pairs, seed, lambda stage, done: progress(stage, _FIT_SHARE * done))
    progress("checking the fit", _FIT_SHARE)
    held_out = hold_out_pairs(
        pairs, seed, lambda done: progress("checking the fit", _FIT_SHARE + (1 - _FIT_SHARE) * done)
    )
    return CheckedFit(fitted, check_profile(pairs, held_out), held_out)
