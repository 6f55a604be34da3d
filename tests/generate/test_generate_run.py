"""The guarantees of `dim`: the same bytes however it is run."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from functools import partial

import pyarrow.parquet as pq
import pytest

from dimmagen.core.errors import DimmagenError
from dimmagen.dataset.compare import assert_same_dataset
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.verify import verify_dataset
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.generate import run
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.plan import variants_per_job
from dimmagen.generate.run import Execution, generate_dataset
from dimmagen.sources import light_image
from dimmagen.sources.archives import list_entries
from dimmagen.sources.light_images import open_light_images
from tests.dataset_helpers import make, write_photos
from tests.tiny_set import Noted, files, make_tiny, tiny_lights


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos") / "photos", 8)


@pytest.fixture(scope="module")
def undisturbed(photos, tmp_path_factory):
    """The data set of an undisturbed run: 8 photos, 2 variants, 6 shards."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    make(photos, out, variants=2)
    return out


@pytest.fixture(scope="module")
def lights(tmp_path_factory):
    """Eight tiny photos, for what does not depend on pixels."""
    return tiny_lights(tmp_path_factory.mktemp("lights"), 8)


def test_the_layout_is_that_of_the_conventions_and_verifies(undisturbed):
    shards = [f"train-{index:05d}" for index in range(6)]
    assert files(undisturbed) == sorted(
        [
            ".huggingface.yaml",
            "README.md",
            "croissant.json",
            "manifest.json",
            "rejected/candidates.parquet",
            "sheet.jpg",
        ]
        + [f"shards/{shard}.tar" for shard in shards]
        + [f"metadata/{shard}.parquet" for shard in shards]
    )
    assert verify_dataset(str(undisturbed)).faults == []
    rejected = pq.read_table(undisturbed / "rejected/candidates.parquet").to_pylist()
    assert [row["name"] for row in rejected] == ["tiny.png"]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.xdist_group("ray")
@pytest.mark.parametrize("workers", [1, 3])
def test_ray_makes_the_bytes_of_the_serial_run_with_any_number_of_workers(
    workers, one_ray, photos, undisturbed, tmp_path
):
    make(photos, tmp_path / "out", variants=2, execution=Execution("ray", workers))
    assert_same_dataset(undisturbed, tmp_path / "out")


# Every kind of arithmetic in a dimmer: plain NumPy, BLAS, compiled integers and floats.
DIMMERS = {
    "linear": {},
    "lid": {},
    "lol3": {},
    "lol3-mdn": {"model": "mdn"},
    "lol3-reference": {"model": "mdn", "compat": "reference"},
}


# Makes a set with each dimmer in the working directory, after printing how many threads the libraries use.
MAKE_ALL = """
import functools, json, os, sys
import numba, torch
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.run import Execution, generate_dataset
from dimmagen.sources.light_images import open_light_images

print(json.dumps([numba.get_num_threads(), torch.get_num_threads()]))
photos, to, dimmers, umask = json.loads(sys.argv[1])
os.umask(umask)
for name, options in dimmers.items():
    build = functools.partial(ImageDimmer.from_profile, name.split("-")[0], **options)
    settings = PairSettings(variants=2, samples_per_shard=3)
    generate_dataset(open_light_images([photos]), build, f"{to}/{name}", settings, Execution("serial"))
"""


def make_all_in_a_fresh_process(photos, to, folder, threads, umask, **environment):
    """A library reads its thread variables when it is loaded: only a new process obeys them."""
    names = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "NUMBA", "VECLIB_MAXIMUM", "BLIS")
    environment |= {f"{name}_NUM_THREADS": str(threads) for name in names} | {"MKL_DYNAMIC": "FALSE"}
    task = json.dumps([str(photos), str(to), DIMMERS, umask])
    command = [sys.executable, "-c", MAKE_ALL, task]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE
    )
    assert json.loads(done.stdout) == [threads, threads]


def test_working_directory_time_zone_umask_and_threads_change_nothing(tmp_path):
    photos, plain, other = write_photos(tmp_path / "photos", 3), tmp_path / "plain", tmp_path / "other"
    make_all_in_a_fresh_process(photos, plain, tmp_path, threads=1, umask=0o022, TZ="UTC")
    make_all_in_a_fresh_process("photos", other, photos.parent, threads=3, umask=0o077, TZ="Asia/Kolkata")
    make(photos, tmp_path / "here", variants=2)
    assert_same_dataset(tmp_path / "here", plain / "linear")
    for name in DIMMERS:
        assert_same_dataset(plain / name, other / name)


@pytest.mark.parametrize("language", ["C", "tr_TR.UTF-8"])
def test_the_locale_changes_nothing(language, photos, tmp_path):
    """In the C locale, without the UTF-8 mode, text files are ASCII unless an encoding is given, and a name
    that is not ASCII has another text."""
    photos = shutil.copytree(photos, tmp_path / "photos")
    (photos / "photo00.png").rename(photos / "größer.png")
    os.rename(photos / "photo01.jpg", bytes(photos) + b"/caf\xe9.jpg")
    make(photos, tmp_path / "expected", variants=2)
    places = {"LC_ALL": language, "LANG": language, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "dimmagen", "dim", "--profile", "linear", "--source", str(photos)]
    command += ["--shards", str(tmp_path / "out"), "--variants", "2", "--samples-per-shard", "3"]
    command += ["--light-format", "same"]
    subprocess.run([*command, "--executor", "serial"], env={**os.environ, **places}, check=True)
    assert_same_dataset(tmp_path / "expected", tmp_path / "out")


@pytest.mark.needs("links")
@pytest.mark.parametrize("backwards", [False, True])
def test_the_order_in_which_folders_and_links_were_made_changes_nothing(backwards, photos, tmp_path):
    """File systems list in the order of creation, backwards, or by a hash: each order is made for real."""
    root = tmp_path / "photos"
    root.mkdir()

    def folder(name):
        (root / name).mkdir()
        files = sorted(photos.iterdir())
        for file in files[::-1] if backwards else files:
            if file.stem.endswith(name[-1]):
                shutil.copy(file, root / name / file.name)

    steps = [partial(folder, f"folder{digit}") for digit in range(5)]
    steps += [partial(os.symlink, root / "folder0", root / name) for name in ("a-link", "z-link")]
    steps += [partial(os.symlink, root / "folder1/photo01.jpg", root / name) for name in ("a.jpg", "z.jpg")]
    for step in steps[::-1] if backwards else steps:
        step()
    entries = list_entries(str(root))
    inside = [f"folder{digit}/photo0{digit}.{'jpg' if digit % 2 else 'png'}" for digit in range(5)]
    assert [entry.name for entry in entries] == ["a.jpg", *inside, "z.jpg"]


@pytest.mark.parametrize("at_once", [2, 5])
def test_shards_that_are_made_together_have_the_bytes_of_those_made_alone(
    at_once, lights, tmp_path, monkeypatch
):
    alone, together, loaded = tmp_path / "alone", tmp_path / "together", []
    monkeypatch.setattr(run, "variants_per_job", lambda *_: 1)
    make_tiny(lights, alone, variants=5)
    load_light_image = light_image.load_light_image
    monkeypatch.setattr(
        light_image, "load_light_image", lambda ref: loaded.append(ref.key) or load_light_image(ref)
    )
    monkeypatch.setattr(run, "variants_per_job", lambda *_: at_once)
    with pytest.raises(KeyboardInterrupt):
        make_tiny(lights, together, variants=5, progress=Noted(stop_after=at_once + 1))
    make_tiny(lights, together, variants=5)
    assert_same_dataset(alone, together)
    loaded.clear()
    make_tiny(lights, tmp_path / "again", variants=5)
    assert max(Counter(loaded).values()) == -(-5 // at_once)  # once for all variants of a job


def test_variants_are_made_together_as_long_as_every_worker_has_enough_jobs():
    assert variants_per_job(shards=100_000, variants=4, workers=100) == 4
    assert variants_per_job(shards=100_000, variants=50, workers=100) == 8
    assert variants_per_job(shards=48, variants=8, workers=2) == 3
    assert variants_per_job(shards=6, variants=2, workers=2) == 1
    assert variants_per_job(shards=0, variants=2, workers=2) == 1
    assert variants_per_job(shards=1_000, variants=4, workers=None) == 1


def test_more_photos_keep_the_bytes_of_the_pairs_that_are_there(photos, undisturbed, tmp_path):
    more = write_photos(tmp_path / "more", 10)
    make(more, tmp_path / "out", variants=2)

    def pair_hashes(out):
        tables = [pq.read_table(path) for path in sorted((out / "metadata").iterdir())]
        columns = ("key", "dark_sha256", "light_sha256", "gamma", "noise_seed")
        return {tuple(row[name] for name in columns) for table in tables for row in table.to_pylist()}

    assert pair_hashes(undisturbed) < pair_hashes(tmp_path / "out")


def test_lights_of_two_file_types_are_declared_to_hugging_face(undisturbed):
    card = (undisturbed / "README.md").read_text()
    assert "name: light.jpg" in card
    assert "name: light.png" in card


def test_the_manifest_holds_no_place_time_or_worker(undisturbed, tmp_path):
    text = (undisturbed / "manifest.json").read_text()
    assert str(undisturbed.parent) not in text
    assert not {"workers", "executor", "time", "host"} & set(json.loads(text)["settings"])


def test_the_rungs_of_a_ladder_share_scene_and_noise_and_only_gamma_differs(photos, tmp_path):
    build = partial(ImageDimmer.from_profile, "lol3", ladder=(0.5, 1.0, 2.0))
    lights = open_light_images([str(photos)])
    generate_dataset(lights, build, str(tmp_path / "out"), PairSettings(variants=6), Execution("serial"))
    frame = open_pairs(tmp_path / "out").table.to_pandas()
    ladders = frame.groupby(["light_key", "noise_seed"])
    assert len(ladders) == 16  # 8 photos, 2 draws each
    for _, rungs in ladders:
        assert rungs["gamma"].tolist() == [0.5, 1.0, 2.0]
        assert rungs["exposure"].nunique() == rungs["light_sha256"].nunique() == 1
        assert rungs["lightness_after"].is_monotonic_increasing
    assert "--variants 2 --seed 0 --ladder 0.5,1.0,2.0" in open_pairs(tmp_path / "out").manifest.command
    assert verify_dataset(str(tmp_path / "out")).faults == []


def test_frames_of_a_clip_share_gamma_and_exposure_but_not_noise():
    alone, shared = (ImageDimmer.from_profile("lol3", group_by=group) for group in ("", "clip"))
    for dimmer, same in ((alone, False), (shared, True)):
        first, last = (dimmer.draw(f"inter4k-0123-{frame}", variant=1, seed=2) for frame in ("first", "last"))
        assert ((first.gamma, first.exposure) == (last.gamma, last.exposure)) is same
        assert first.noise_seed != last.noise_seed
    assert "group_by" not in alone.settings()
    assert shared.settings()["group_by"] == "clip"


def test_a_photo_that_vanishes_ends_the_run_naming_the_pair_and_keeps_complete_shards(
    photos, tmp_path, undisturbed
):
    copy = write_photos(tmp_path / "copy", 8)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        make(copy, out, variants=2, progress=Noted(stop_after=2))

    class Vanish(Noted):
        def shard(self):
            for path in copy.iterdir():
                path.unlink()

    with pytest.raises(DimmagenError, match=r"pair folder-[0-9a-f]{16}-v\d .* could not be made") as error:
        make(copy, out, variants=2, progress=Vanish())
    assert error.value.code == error.value.__cause__.code != "failed"
    assert error.value.fields["name"].startswith("photo")
    assert len(list((out / "shards").iterdir())) == 3
    write_photos(copy, 8)
    make(copy, out, variants=2)
    assert_same_dataset(undisturbed, out)
