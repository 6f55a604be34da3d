"""The libraries that LowLight is for are imported when they are used, and named where they are missing."""

import subprocess
import sys

import pytest

from dimmagen.core.errors import UsageError
from dimmagen.transforms import LowLight

LIBRARIES = ("torch", "torchvision", "albumentations", "kornia", "cv2")


def test_an_array_is_darkened_without_any_of_the_libraries():
    code = (
        "import sys, numpy as np; from dimmagen.transforms import LowLight; "
        "dark = LowLight('lol3')(np.full((8, 8, 3), 180, np.uint8)); assert dark.mean() < 170; "
        f"print([name for name in {LIBRARIES} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("library", ["albumentations", "kornia"])
def test_a_library_that_is_missing_is_named_with_its_extra(library, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"dimmagen.transforms.for_{library}", raising=False)
    with pytest.raises(UsageError, match=rf"pip install 'dimmagen\[{library}\]'") as caught:
        getattr(LowLight("linear"), f"for_{library}")()
    assert caught.value.code == "missing-package"
    assert caught.value.fields["package"] == library
