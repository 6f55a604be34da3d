"""Labels move with their pixels: compared with images that are drawn, turned and cropped by others."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dimmagen.images.orientation import Orientation
from dimmagen.sources.clic import reduce_and_crop
from dimmagen.sources.labels import rle
from dimmagen.sources.labels.annotations import annotation
from dimmagen.sources.labels.geometry import Move, MoveError, move_for, moved

SIDE = 512
ORIENTATIONS = {  # EXIF orientation -> how dimmagen turns it upright, and Pillow's name of the same
    3: (Orientation(False, -1, -1), Image.Transpose.ROTATE_180),
    6: (Orientation(True, 1, -1), Image.Transpose.ROTATE_270),
    8: (Orientation(True, -1, 1), Image.Transpose.ROTATE_90),
    5: (Orientation(True, 1, 1), Image.Transpose.TRANSPOSE),
    2: (Orientation(False, 1, -1), Image.Transpose.FLIP_LEFT_RIGHT),
}


def reduced(width: int, height: int) -> Move:
    return move_for(None, (width, height), (SIDE, SIDE), f"reduce{SIDE}", None)


def drawn(width: int, height: int, box: list[float]) -> np.ndarray:
    """A white box on black, uint8 (height, width, 3)."""
    image = Image.new("RGB", (width, height))
    x, y, box_width, box_height = box
    ImageDraw.Draw(image).rectangle([x, y, x + box_width - 1, y + box_height - 1], fill="white")
    return np.asarray(image)


def box_of(pixels: np.ndarray) -> list[float]:
    """The bounding box of what is at least half white."""
    rows, columns = np.nonzero(pixels[..., 0] >= 128)
    left, top = columns.min(), rows.min()
    return [float(left), float(top), float(columns.max() - left + 1), float(rows.max() - top + 1)]


@pytest.mark.parametrize("size", [(2048, 1365), (1365, 2048), (1024, 1024), (1201, 801)])
def test_a_box_is_where_the_rule_moves_its_pixels(size):
    width, height = size
    for box in ([width // 2 - 100, height // 2 - 50, 200, 160], [width // 2, height // 2 + 20, 90, 61]):
        pixels, step = reduce_and_crop(drawn(width, height, box), SIDE)
        assert step == f"reduce{SIDE}"
        found = moved(annotation("a", box), reduced(width, height))
        assert found["bbox"] == pytest.approx(box_of(pixels), abs=1.01)
        x_scale, y_scale = found["bbox"][2] / box[2], found["bbox"][3] / box[3]
        assert found["area"] == pytest.approx(box[2] * box[3] * x_scale * y_scale)


def test_a_box_that_the_crop_cuts_ends_at_the_edge_and_one_outside_is_gone():
    cut = moved(annotation("a", [100, 600, 800, 100]), reduced(2048, 1024))
    assert cut["bbox"] == [0, 300, 194, 50]  # halved, then 256 to the left
    assert cut["area"] == 194 * 50
    assert moved(annotation("a", [0, 0, 400, 100]), reduced(2048, 1024)) is None
    assert moved(annotation("a", [0, 0, 512, 100]), reduced(2048, 1024)) is None  # touches the edge only


def test_polygons_are_cut_as_an_image_of_them_is():
    points = [300.0, 100.0, 1900.0, 300.0, 1200.0, 900.0, 200.0, 700.0]
    image = Image.new("L", (2048, 1024))
    ImageDraw.Draw(image).polygon(points, fill=255)
    pixels, _ = reduce_and_crop(np.dstack([np.asarray(image)] * 3), SIDE)
    xs, ys = points[0::2], points[1::2]
    box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    found = moved(annotation("a", box, polygons=[points], area=123.0), reduced(2048, 1024))
    (polygon,) = found["polygons"]
    assert min(polygon) >= 0
    assert max(polygon) <= SIDE
    again = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(again).polygon(polygon, fill=255)
    differing = (np.asarray(again) >= 128) != (pixels[..., 0] >= 128)
    assert differing.mean() < 0.01
    assert found["area"] == pytest.approx((pixels[..., 0] >= 128).sum(), rel=0.01)


def test_a_mask_is_resized_as_pillow_resizes_it_and_its_area_is_counted():
    mask = np.zeros((1024, 2048), bool)
    mask[100:700, 300:1000] = True
    mask[200:300, 900:1500] = True
    one = annotation(
        "a",
        [300, 100, 1200, 600],
        iscrowd=1,
        rle={"size": [1024, 2048], "counts": rle.to_text(rle.encode(mask))},
    )
    found = moved(one, reduced(2048, 1024))
    nearest = Image.fromarray(mask).resize((1024, 512), Image.Resampling.NEAREST)
    expected = np.asarray(nearest)[:, 256:768]
    got = rle.decode(rle.from_text(found["rle"]["counts"]), *found["rle"]["size"])
    assert np.array_equal(got, expected)
    assert found["area"] == expected.sum()
    assert found["iscrowd"] == 1


def test_keypoints_outside_become_unlabelled_and_are_not_counted():
    points = [1024, 512, 2, 10, 512, 2, 600, 100, 1, 0, 0, 0]
    found = moved(annotation("a", [0, 0, 2048, 1024], keypoints=points), reduced(2048, 1024))
    assert found["keypoints"] == [256, 256, 2, 0, 0, 0, 44, 50, 1, 0, 0, 0]
    assert found["num_keypoints"] == 2


@pytest.mark.parametrize("orientation", [3, 6, 8, 5, 2])
def test_labels_of_a_photo_as_it_is_stored_are_turned_with_it(orientation):
    upright, transpose = ORIENTATIONS[orientation]
    box = [20, 10, 50, 30]
    stored = Image.fromarray(drawn(120, 80, box))
    turned = stored.transpose(transpose)
    move = Move(120, 80, upright)
    assert move.size == turned.size
    assert moved(annotation("a", box), move)["bbox"] == box_of(np.asarray(turned))
    mask = np.zeros((80, 120), bool)
    mask[10:40, 20:70] = True
    assert np.array_equal(move.mask(mask), np.asarray(turned)[..., 0] >= 128)


def test_labels_of_the_upright_or_of_the_stored_size_are_told_apart():
    turned = ORIENTATIONS[6][0]
    upright = move_for((80, 120), (80, 120), (80, 120), "exif", lambda: turned)
    assert upright.stays
    stored = move_for((120, 80), (80, 120), (80, 120), "exif", lambda: turned)
    assert stored.upright == turned
    with pytest.raises(MoveError, match="for 120x80 pixels, the photo has 80x120"):
        move_for((120, 80), (80, 120), (80, 120), "verbatim", lambda: turned)
    with pytest.raises(MoveError, match="shrunk"):
        move_for(None, (80, 120), (40, 60), "shrunk", lambda: turned)


def test_where_nothing_moves_an_annotation_stays_as_it_is():
    move = move_for((120, 80), (120, 80), (120, 80), "verbatim", None)
    for box in ([0, 0, 120.4, 80], [5, 5, 0, 0], [5, 5, 0, 7], [0.123456789, 1, 2, 3]):
        one = annotation("a", box, area=3.0, polygons=[[1, 2, 3, 4, 5, 6]])
        assert moved(one, move) is one
    cut = moved(annotation("a", [100, 70, 40, 30]), move)
    assert cut["bbox"] == [100, 70, 20, 10]
    assert moved(annotation("a", [130, 0, 10, 10]), move) is None


def test_a_mask_of_single_pixels_is_resized_as_pillow_resizes_it():
    mask = np.random.default_rng(2).integers(0, 5, (801, 1201)).astype(np.uint8)
    nearest = Image.fromarray(mask).resize((768, 512), Image.Resampling.NEAREST)
    assert np.array_equal(reduced(1201, 801).mask(mask), np.asarray(nearest)[:, 128:640])
