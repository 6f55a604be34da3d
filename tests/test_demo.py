"""The demo's own check: it passes on what was published and fails on anything else."""

import json

import numpy as np
import pytest
from PIL import Image

from pipelines import demo

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    demo.make(folder)
    return folder


@pytest.fixture
def digests(tmp_path):
    """A copy of the published digests that a test may change."""
    copy = tmp_path / "demo.json"
    copy.write_text(demo.DIGESTS.read_text())
    return copy


def change(digests, **fields):
    content = json.loads(digests.read_text())
    content["pairs"][0].update(fields)
    digests.write_text(json.dumps(content))


def claim_another_machine(digests):
    content = json.loads(digests.read_text())
    content["environment"]["machine"] = "another"
    digests.write_text(json.dumps(content))


def test_the_demo_makes_what_was_published(made):
    assert "exactly as published" in demo.compare(made / "out")
    assert Image.open(made / "sheet.png").size[0] > 300


def test_another_draw_is_reported_with_its_key(made, digests):
    change(digests, gamma=0.5)
    with pytest.raises(demo.DemoFailedError, match=r"sample-\w+-v0: gamma"):
        demo.compare(made / "out", digests)


def test_another_pixel_on_the_same_class_of_machine_fails(made, digests):
    change(digests, dark_pixel_sha256="0" * 64)
    if json.loads(digests.read_text())["environment"] != demo.environment():
        pytest.skip("the digests were published on another class of machine")
    with pytest.raises(demo.DemoFailedError, match="the pixels differ"):
        demo.compare(made / "out", digests)


def test_on_another_class_of_machine_one_grey_level_is_allowed_and_two_are_not(made, digests, tmp_path):
    change(digests, dark_pixel_sha256="0" * 64)
    claim_another_machine(digests)
    published = np.asarray(Image.open(demo.PIXELS)).copy()
    assert "another class of machine" in demo.compare(made / "out", digests)
    published[0, 0, 0] += 2
    Image.fromarray(published).save(tmp_path / "pixels.png")
    with pytest.raises(demo.DemoFailedError, match="2 grey levels"):
        demo.compare(made / "out", digests, tmp_path / "pixels.png")
