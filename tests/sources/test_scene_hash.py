import io

import numpy as np
import pytest
from PIL import Image
from simulated_camera import SimulatedCamera, simulated_light
from skimage import data as photos

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.images.codec import decode_rgb8
from dimmagen.sources import parse_specs
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.scan import scan
from dimmagen.sources.scene_hash import SAME_SCENE_BITS, SceneHashes, scene_hash


def hashes_of(folder):
    paths = sorted(folder.glob("*.png"), key=lambda path: int(path.stem))
    return [path.stem for path in paths], np.array(
        [scene_hash(decode_rgb8(p.read_bytes())[0]) for p in paths]
    )


def test_on_lol_equal_scenes_have_close_hashes_and_different_scenes_do_not(shared_data):
    """The limit is between the measured distances: up to 16 bits for equal scenes, 100 or more for others."""
    names, hashes = hashes_of(shared_data / "lol" / "our485" / "high")
    distances = dict(zip(names, (hashes != hashes[names.index("25")]).sum(axis=1), strict=True))
    same_bed = {"26", "27", "28"}
    assert max(distances[name] for name in same_bed) <= 16
    assert min(distances[name] for name in names if name not in {"25", *same_bed}) >= 100
    _, dev15 = hashes_of(shared_data / "lol" / "dev15" / "high")
    between_splits = (hashes[:, None] != dev15[None]).sum(axis=2)
    assert between_splits.min() > SAME_SCENE_BITS + 16


def test_scenes_seen_again_by_a_camera_are_near_and_different_ones_far():
    """Each scene as it is, and in other light, with noise and a colour cast, and two pixels further left."""
    lights = [simulated_light(seed, 160, 200) for seed in range(8)]
    cameras = (SimulatedCamera(mean=60, cast=(1.2, 1.0, 0.8)), SimulatedCamera(mean=110, curve=1.5))
    seen = np.array([scene_hash(light) for light in lights])
    again = np.array(
        [
            scene_hash(camera.shoot(np.roll(light, -2, axis=1), seed=1))
            for camera in cameras
            for light in lights
        ]
    )
    between = (again[:, None] != seen[None]).sum(axis=2)
    same = np.tile(np.eye(len(lights), dtype=bool), (len(cameras), 1))
    assert between[same].max() <= SAME_SCENE_BITS < between[~same].min()


def test_a_scene_is_recognised_when_darker_smaller_or_recompressed():
    photo = photos.astronaut()
    scenes = SceneHashes(np.array([scene_hash(photo), scene_hash(photos.coffee())]))
    buffer = io.BytesIO()
    Image.fromarray(photo).resize((200, 200)).save(buffer, "jpeg", quality=50)
    assert scenes.distance(photo) == 0
    assert scenes.distance((photo * 0.3).astype(np.uint8)) <= SAME_SCENE_BITS
    assert scenes.distance(decode_rgb8(buffer.getvalue())[0]) <= SAME_SCENE_BITS
    assert scenes.distance(photos.rocket()) > SAME_SCENE_BITS
    assert scenes.distance(np.ascontiguousarray(photo[:, ::-1])) > SAME_SCENE_BITS


def test_excluded_scenes_are_left_out_of_every_source(tmp_path):
    for name, photo in {"cup": photos.coffee(), "cat": photos.chelsea()}.items():
        Image.fromarray(photo).save(tmp_path / f"{name}.png")
    (tmp_path / "split").mkdir()
    Image.fromarray(photos.coffee()).resize((300, 200)).save(tmp_path / "split" / "evaluation.jpg")
    candidates = list_candidate_files(parse_specs([f"folder={tmp_path}/*.png", "sample"]))
    scanned = scan(candidates.files, SceneHashes.from_paths([str(tmp_path / "split")]))
    rows = {(one.row.source, one.row.name): one.row for one in scanned}
    for image in (("folder", "cup.png"), ("sample", "coffee.png")):
        assert rows[image].rule == "excluded-scene"
        assert rows[image].scene_distance <= SAME_SCENE_BITS
        assert "bits from an excluded picture" in rows[image].reason
    for image in (("folder", "cat.png"), ("sample", "chelsea.png")):
        assert rows[image].accepted
        assert rows[image].scene_distance > SAME_SCENE_BITS


def test_an_evaluation_split_without_images_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="holds no image"):
        SceneHashes.from_paths([str(tmp_path)])
    with pytest.raises(UsageError, match="there is no folder"):
        SceneHashes.from_paths([str(tmp_path / "missing")])


def test_images_that_exclude_no_scene_are_told_all_at_once(tmp_path, caplog):
    Image.fromarray(photos.coffee()).save(tmp_path / "a.png")
    (tmp_path / "b.arw").write_bytes(b"raw")
    SceneHashes.from_paths([str(tmp_path)])
    assert caplog.messages == [f"{tmp_path}: scenes are not excluded by files that are not read: 1 .arw"]
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(b"")
    with pytest.raises(
        DimmagenError, match=r"scene of 0\.png .*; the scene of 4\.png .*; and 1 more: repair"
    ):
        SceneHashes.from_paths([str(tmp_path)])


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("folder", {"crop": 128}),
        ("folder", {"resize": 256, "crop": 256}),
        ("clic", {}),
        ("clic", {"crop": 256}),
    ],
)
def test_the_middle_of_an_excluded_photo_is_left_out_as_well(tmp_path, source, options):
    """A hash of the middle is as far from that of the photo as any other scene's: 100 bits and more."""
    for folder in ("photos", "split"):
        (tmp_path / folder).mkdir()
    wide = simulated_light(3, 540, 960)
    Image.fromarray(wide).save(tmp_path / "photos" / "same.png")
    Image.fromarray(simulated_light(4, 540, 960)).save(tmp_path / "photos" / "other.png")
    Image.fromarray(wide).resize((640, 360)).save(tmp_path / "split" / "evaluation.jpg")
    scenes = SceneHashes.from_paths([str(tmp_path / "split")])
    files = list_candidate_files(parse_specs([f"{source}={tmp_path / 'photos'}"])).files
    other, same = (one.row for one in scan(files, scenes, selection=PhotoSelection(**options)))
    assert (other.accepted, same.rule) == (True, "excluded-scene")
    assert same.scene_distance <= 20
