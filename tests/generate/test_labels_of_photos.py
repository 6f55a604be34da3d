"""`labels`: those of the photos are in every pair, hashed, equal for any executor, and told where missing."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from dimmagen import assert_same_dataset, make_dataset, make_subset
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.schema import PAIR_SCHEMA
from dimmagen.dataset.verify import verify_dataset
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.generate.gpu_worker import GpuDimmer
from dimmagen.generate.merge import write_merge
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.plan import plan_jobs, plan_shards
from dimmagen.sources.labels import rle
from dimmagen.sources.labels.annotations import ANNOTATION_KEYS
from dimmagen.sources.labels.index import open_labels
from dimmagen.sources.light_images import open_light_images
from tests.commands import run_command
from tests.labelled_photos import COUNT, KINDS, changed, make, wall, write_labelled_photos


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return write_labelled_photos(tmp_path_factory.mktemp("labelled"))


@pytest.fixture(scope="module")
def sets(labelled, tmp_path_factory):
    """A data set with two variants for each kind of labels."""
    folder = tmp_path_factory.mktemp("sets")
    for kind in KINDS:
        make(labelled, folder / kind, kind, variants=2)
    return folder


def documents(out) -> dict[str, dict]:
    """The labels of each photo by its stem; those of its variants must be equal."""
    pairs = open_pairs(out)
    found: dict[str, dict] = {}
    for row in pairs.rows():
        document = json.loads(pairs.labels(row))
        assert found.setdefault(row["name"].split(".")[0], document) == document
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_with_labels_verifies_and_every_sample_has_them_in_order(sets, kind):
    assert verify_dataset(str(sets / kind)).faults == []
    ending = "mask.png" if kind == "masks" else "labels.json"
    with tarfile.open(sets / kind / "shards/train-00000.tar") as tar:
        names = tar.getnames()
    assert names == sorted(names)
    assert [name.split(".", 1)[1] for name in names[:4] if name.endswith(ending)] == [ending]
    assert sum(name.endswith(ending) for name in names) == len(names) / 4


def test_cocos_labels_keep_all_that_they_say(sets):
    found = documents(sets / "coco")
    for document in found.values():
        assert list(document) == [
            "format", "image_id", "file_name", "width", "height", "left_out", "annotations", "other",
        ]  # fmt: skip
        for one in document["annotations"]:
            assert {name: type(value) for name, value in one.items()} == ANNOTATION_KEYS
    first, crowd, points, nothing = (found[f"photo{number:02d}"] for number in range(COUNT))
    assert [one["bbox"] for one in first["annotations"]] == [[10.25, 20.5, 50, 60], [5, 5, 0, 0]]
    assert first["annotations"][0]["polygons"] == [[10.25, 20.5, 60.25, 20.5, 60.25, 80.5]]
    assert [one["area"] for one in first["annotations"]] == [1500.5, 0]
    assert (first["image_id"], json.loads(first["other"])) == (100, {"license": 2})
    (one,) = crowd["annotations"]
    mask = rle.decode(rle.from_text(one["rle"]["counts"]), *one["rle"]["size"])
    assert (one["iscrowd"], one["category"], mask.sum()) == (1, "cup", 50 * 170)
    (one,) = points["annotations"]
    assert (one["keypoints"], one["num_keypoints"]) == ([10, 20, 2, 0, 0, 0, 99, 98, 1], 2)
    assert json.loads(one["other"]) == {"score": 0.5}
    assert nothing["annotations"] == []
    labels = open_pairs(sets / "coco").manifest.settings["labels"]
    assert [one["name"] for one in labels["categories"]] == ["cat", "cup"]
    assert labels["licenses"] == [{"id": 2, "name": "CC"}]


def test_yolos_fractions_and_vocs_corners_become_pixels(sets):
    yolo = documents(sets / "yolo")
    cup, cat = yolo["photo01"]["annotations"]
    assert cup["category"] == "cup"
    assert cup["bbox"] == pytest.approx([265 * 0.375, 256 * 0.4, 265 * 0.25, 256 * 0.2])
    assert cat["bbox"] == pytest.approx([265 * 0.075, 256 * 0.15, 265 * 0.05, 256 * 0.1])
    assert yolo["photo03"]["annotations"] == []
    voc = documents(sets / "voc")
    (one,) = voc["photo01"]["annotations"]
    assert one["bbox"] == [0, 2, 265, 98]
    assert json.loads(one["other"]) == {"pose": "Left", "truncated": "1", "difficult": "0"}


def test_masks_and_json_of_any_content_keep_their_bytes_or_values(labelled, sets):
    pairs = open_pairs(sets / "masks")
    for row in pairs.rows():
        assert pairs.labels(row) == (labelled / f"masks/{row['name'].split('.')[0]}.png").read_bytes()
    assert documents(sets / "json")["photo02"] == {"scene": "photo02", "values": [2, 1.5]}


def test_a_set_without_labels_has_the_columns_and_the_images_that_it_had(labelled, sets, tmp_path):
    make(labelled, tmp_path / "plain", kind=None, variants=2)
    plain, with_labels = open_pairs(tmp_path / "plain"), open_pairs(sets / "coco")
    assert plain.table.column_names == [*PAIR_SCHEMA.names, "shard"]
    assert "labels" not in plain.manifest.settings
    assert "labels" not in (tmp_path / "plain/README.md").read_text()
    for row, other in zip(plain.rows(), with_labels.rows(), strict=True):
        moving = {name for name in PAIR_SCHEMA.names if name.endswith("_offset")}
        assert {name: row[name] for name in row if name not in moving} == {
            name: other[name] for name in row if name not in moving
        }
    with pytest.raises(UsageError, match="has no labels"):
        plain.labels(plain.row(0))


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
@pytest.mark.parametrize("kind", ["coco", "masks"])
def test_ray_writes_the_labels_of_the_serial_run(one_ray, labelled, sets, tmp_path, kind):
    make(labelled, tmp_path / "ray", kind, variants=2, executor="ray", workers=2)
    assert_same_dataset(sets / kind, tmp_path / "ray")


def test_a_folder_below_the_photos_is_matched_by_the_last_parts_of_the_names(labelled, tmp_path):
    for part in ("a", "b"):
        (tmp_path / "photos" / part).mkdir(parents=True)
        (tmp_path / "labels" / part).mkdir(parents=True)
        source = labelled / ("photos/photo00.png" if part == "a" else "photos/photo02.png")
        (tmp_path / f"photos/{part}/1.png").write_bytes(source.read_bytes())
        (tmp_path / f"labels/{part}/1.txt").write_text(f"{'01'[part == 'b']} 0.5 0.5 1 1\n")
    make_dataset("linear", [str(tmp_path / "photos")], tmp_path / "out", labels=f"yolo={tmp_path}/labels")
    pairs = open_pairs(tmp_path / "out")
    found = {
        row["name"]: json.loads(pairs.labels(row))["annotations"][0]["category_id"] for row in pairs.rows()
    }
    assert found == {"a/1.png": 0, "b/1.png": 1}
    (tmp_path / "labels/a/1.txt").rename(tmp_path / "labels/1.txt")
    (tmp_path / "labels/b/1.txt").unlink()
    with pytest.raises(UsageError, match="fits both images"):
        make_dataset("linear", [str(tmp_path / "photos")], tmp_path / "2", labels=f"yolo={tmp_path}/labels")


def test_labels_that_another_system_wrote_name_the_same_photos(labelled, tmp_path):
    """COCO's `file_name` with the backslashes of Windows, beside accents as macOS writes them."""
    folder = tmp_path / "photos/e\u0301te\u0301"
    folder.mkdir(parents=True)
    images = []
    for number in range(2):
        (folder / f"{number}.png").write_bytes((labelled / f"photos/photo0{2 * number}.png").read_bytes())
        with Image.open(folder / f"{number}.png") as photo:
            size = {"width": photo.width, "height": photo.height}
        images.append({"id": number, "file_name": f"\u00e9t\u00e9\\{number}.png", **size})
    content = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    lights = open_light_images([str(tmp_path / "photos")])
    found = open_labels(f"coco={tmp_path}/coco.json", lights)
    assert (found.counts.without, found.counts.unused) == (0, 0)


def test_clic_photos_have_their_boxes_and_masks_where_their_pixels_are(tmp_path):
    photo = wall(1200, 1800)
    photo[300:600, 900:1200] = (250, 40, 40)
    (tmp_path / "clic").mkdir()
    (tmp_path / "masks").mkdir()
    Image.fromarray(photo).save(tmp_path / "clic/a.png")
    mask = Image.fromarray((photo[..., 1] == 40).astype(np.uint8))
    mask.putpalette([0, 0, 0, 255, 0, 0])
    mask.save(tmp_path / "masks/a.png")
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 1800, "height": 1200}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [900, 300, 300, 300]}],
        "categories": [{"id": 1, "name": "red"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(document))
    make_dataset("linear", [f"clic={tmp_path}/clic"], tmp_path / "out", labels=f"coco={tmp_path}/a.json")
    pairs = open_pairs(tmp_path / "out")
    row = pairs.row(0)
    assert row["transform"] == "reduce512"
    _, light = pairs.images(row)
    (one,) = json.loads(pairs.labels(row))["annotations"]
    rows, columns = np.nonzero(light[..., 1] < 120)
    x, y, width, height = one["bbox"]
    assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == pytest.approx(
        [x, y, x + width, y + height], abs=1
    )
    make_dataset("linear", [f"clic={tmp_path}/clic"], tmp_path / "out2", labels=f"masks={tmp_path}/masks")
    pairs = open_pairs(tmp_path / "out2")
    moved = Image.open(io.BytesIO(pairs.labels(pairs.row(0))))
    assert (moved.mode, moved.size, moved.getpalette()[:6]) == ("P", (512, 512), [0, 0, 0, 255, 0, 0])
    assert np.mean((np.asarray(moved) == 1) != (light[..., 1] < 120)) < 0.005
    (tmp_path / "json").mkdir()
    (tmp_path / "json/a.json").write_text('{"a": 1}')
    with pytest.raises(DimmagenError, match="labels of any content cannot be moved"):
        make_dataset("linear", [f"clic={tmp_path}/clic"], tmp_path / "3", labels=f"json={tmp_path}/json")


def test_a_damaged_file_of_labels_is_reported_with_its_sample(sets, tmp_path):
    import shutil

    shutil.copytree(sets / "coco", tmp_path / "out")
    row = open_pairs(tmp_path / "out").row(1)
    shard = tmp_path / "out" / row["shard"]
    data = bytearray(shard.read_bytes())
    data[row["labels_offset"] + 5] ^= 1
    shard.write_bytes(bytes(data))
    faults = [str(fault) for fault in verify_dataset(str(tmp_path / "out")).faults]
    assert (
        f"{row['shard']}: sample {row['key']}: the bytes of {row['labels_member']} are not those of its row"
        in faults
    )
    with pytest.raises(DimmagenError, match=r"labels\.json are not those of its row"):
        open_pairs(tmp_path / "out").labels(row)


def test_a_subset_and_a_merge_keep_the_labels(labelled, sets, tmp_path):
    make_subset(sets / "coco", tmp_path / "subset", gamma=(0.3, 1.2))
    assert verify_dataset(str(tmp_path / "subset")).faults == []
    whole = {row["key"]: row["labels_sha256"] for row in open_pairs(sets / "coco").rows()}
    part = {row["key"]: row["labels_sha256"] for row in open_pairs(tmp_path / "subset").rows()}
    assert 0 < len(part) < len(whole)
    assert part.items() <= whole.items()
    make(labelled, tmp_path / "other", seed=4)
    write_merge([open_pairs(sets / "coco"), open_pairs(tmp_path / "other")], str(tmp_path / "merged"))
    assert verify_dataset(str(tmp_path / "merged")).faults == []
    assert open_pairs(tmp_path / "merged").manifest.settings["labels"]["format"] == "coco"
    make(labelled, tmp_path / "plain", kind=None)
    with pytest.raises(UsageError, match="differ in their labels"):
        write_merge([open_pairs(sets / "coco"), open_pairs(tmp_path / "plain")], str(tmp_path / "no"))


def test_changed_labels_are_another_run(labelled, tmp_path):
    import shutil

    shutil.copytree(labelled, tmp_path / "labelled")
    make(tmp_path / "labelled", tmp_path / "out", "yolo")
    (tmp_path / "labelled/yolo/photo00.txt").write_text("1 0.5 0.5 0.1 0.1\n")
    with pytest.raises(UsageError, match=r"labels\.sha256"):
        make(tmp_path / "labelled", tmp_path / "out", "yolo")


def run(capsys, *words) -> tuple[int, str]:
    code, out, err = run_command(capsys, *words)
    return code, out + err


def test_the_command_counts_photos_without_labels_and_labels_without_photos(labelled, tmp_path, capsys):
    words = ["dim", "--profile", "linear", "--source", labelled / "photos", "--executor", "serial"]
    code, text = run(capsys, *words, "--shards", tmp_path / "out", "--labels", KINDS["yolo"].format(labelled))
    assert code == 0
    assert "labels for 3 of 4 photos" in text
    assert "1 photo without labels, such as photo03.jpg" in text
    assert "1 label without a photo in this run, such as elsewhere.txt" in text
    again = ["reproduce", tmp_path / "out", "--source", labelled / "photos", "--executor", "serial"]
    again += ["--out", tmp_path / "again"]
    code, text = run(capsys, *again)
    assert code == 2
    assert "give the same ones by --labels" in text
    code, text = run(capsys, *again, "--labels", KINDS["yolo"].format(labelled))
    assert code == 0, text


def test_a_box_outside_is_left_out_and_counted(labelled, tmp_path):
    labels = changed(labelled, tmp_path, lambda d: d["annotations"][0].update(bbox=[300, 300, 10, 10]))
    make_dataset("linear", [str(labelled / "photos")], tmp_path / "out", labels=labels)
    document = documents(tmp_path / "out")["photo00"]
    assert (len(document["annotations"]), document["left_out"]) == (1, 1)


def test_labels_follow_the_resize_and_the_crop_that_a_user_asks_for(tmp_path):
    photo = wall(600, 900)
    photo[150:300, 450:600] = (250, 40, 40)
    (tmp_path / "photos").mkdir()
    (tmp_path / "masks").mkdir()
    Image.fromarray(photo).save(tmp_path / "photos/a.png")
    Image.fromarray((photo[..., 1] == 40).astype(np.uint8)).save(tmp_path / "masks/a.png")
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 900, "height": 600}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [450, 150, 150, 150]}],
        "categories": [{"id": 1, "name": "red"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(document))
    size = {"resize": 300, "crop": 256}
    for out, labels in (("from-coco", "coco=a.json"), ("from-masks", "masks=masks")):
        labels = labels.replace("=", f"={tmp_path}/")
        make_dataset("linear", [str(tmp_path / "photos")], tmp_path / out, labels=labels, **size)
    pairs = open_pairs(tmp_path / "from-coco")
    assert pairs.row(0)["transform"] == "short300+crop256"
    _, light = pairs.images(pairs.row(0))
    red = light[..., 1] < 120
    rows, columns = np.nonzero(red)
    (one,) = json.loads(pairs.labels(pairs.row(0)))["annotations"]
    assert one["bbox"] == [128, 53, 75, 75]  # halved; the crop begins at (97, 22)
    assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == pytest.approx(
        [128, 53, 203, 128], abs=1
    )
    pairs = open_pairs(tmp_path / "from-masks")
    mask = np.asarray(Image.open(io.BytesIO(pairs.labels(pairs.row(0)))))
    assert np.mean((mask == 1) != red) < 0.01


def test_a_gpu_worker_adds_the_labels_that_another_worker_adds(labelled):
    lights = open_light_images([str(labelled / "photos")])
    labels = open_labels(KINDS["coco"].format(labelled), lights)
    (job,) = plan_jobs(plan_shards(len(lights), 1, 500), lights, 1, labels)
    dimmer = ImageDimmer.from_profile("lol3")
    made = [sample for _, sample in GpuDimmer(dimmer, PairSettings(), "cpu", 1).samples(job)]
    assert [sample.labels for sample in made] == list(labels.records(0, len(lights)))
    assert {sample.labels_extension for sample in made} == {"labels.json"}
