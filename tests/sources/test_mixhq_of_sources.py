"""A MixHQ of every source that has a rule of its own."""

import numpy as np
import pytest
from PIL import Image
from skimage import data as photos

from dimmagen.sources.light_image import load_light_image
from dimmagen.sources.light_images import open_light_images
from tests.sources.mixhq_builds import build


@pytest.fixture(scope="module")
def sources(clips, tmp_path_factory):
    """A folder for each source that has a rule of its own, with lights that it takes and others."""
    folder = tmp_path_factory.mktemp("sources")

    def save(name, photo, width, height):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).resize((width, height)).save(path, quality=90)

    for index, (photo, side) in enumerate(
        [(photos.coffee(), 640), (photos.rocket(), 520), (photos.chelsea(), 499)]
    ):
        save(f"coco/{index:012d}.jpg", photo, side + 40, side)
        save(f"imagenet/{index}.jpg", np.ascontiguousarray(photo[::-1]), side + 40, side + 40)
        save(f"clic/{index}.png", np.ascontiguousarray(photo[:, ::-1]), side + 200, side)
        save(f"lol/our485/high/{index}.png", np.ascontiguousarray(photo[::-1, ::-1]), 120, 80)
        save(f"lol/our485/low/{index}.png", photo // 9, 120, 80)
    save("excluded/0.png", photos.rocket(), 200, 150)
    (folder / "inter4k").symlink_to(clips)
    return folder


@pytest.mark.needs("links")
def test_every_source_gives_the_lights_that_its_rule_and_the_excluded_scenes_leave(sources, tmp_path):
    texts = [f"{name}={sources / name}" for name in ("coco", "clic", "imagenet", "inter4k", "lol")]
    manifest = build(texts, tmp_path / "mixhq", exclude=[str(sources / "excluded")])
    assert {name: (tally["accepted"], tally["rejected"]) for name, tally in manifest["sources"].items()} == {
        "coco": (1, {"coco-min-500": 1, "excluded-scene": 1}),
        "clic": (2, {"clic-min-512": 1}),
        "imagenet": (2, {"imagenet-size": 1}),
        "inter4k": (6, {}),
        "lol": (3, {"lol-dark": 3}),
    }
    lights = open_light_images([str(tmp_path / "mixhq")])
    assert {ref.transform for ref in lights.refs()} == {"verbatim", "reduce512", "frame-x0.3"}
    for ref in lights.refs():
        assert load_light_image(ref).pixels.shape == (ref.height, ref.width, 3)


@pytest.mark.slow
def test_the_real_sources_give_the_counts_of_the_readme(shared_data, tmp_path):
    data = shared_data / "sources"
    texts = [f"{name}={data / name}" for name in ("coco", "clic", "imagenet", "inter4k")]
    lol = shared_data / "lol"
    manifest = build(
        [*texts, f"lol={lol / 'high_only'}"], tmp_path / "mixhq", exclude=[str(lol / "dev15" / "high")]
    )
    accepted = {name: tally["accepted"] for name, tally in manifest["sources"].items()}
    assert accepted == {"coco": 13, "clic": 12, "imagenet": 39, "inter4k": 6, "lol": 24}
    lights = open_light_images([str(tmp_path / "mixhq")])
    assert {ref.transform for ref in lights.refs()} == {"verbatim", "reduce512", "frame-x0.3"}
    for ref in lights.refs():
        assert load_light_image(ref).pixels.shape == (ref.height, ref.width, 3)
