"""Dimming on a device makes the shards that the CPU kernel makes."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dimmers.camera.stored import model_files
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.profile import save_profile
from dimmagen.generate import gpu_worker
from dimmagen.generate.gpu_worker import GpuDimmer
from dimmagen.generate.pair import PairSettings, add_labels, make_pair, prepare_light
from dimmagen.generate.plan import ShardJob, plan_jobs, plan_shards
from dimmagen.generate.worker import PairShardWorker
from dimmagen.images.codec import encode_jpeg, encode_png
from dimmagen.sources.light_image import LightImage, LightImageRef
from dimmagen.sources.light_images import open_light_images
from tests.cameras import camera
from tests.dataset_helpers import write_photos

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=NO_GPU)]


@pytest.fixture(scope="module")
def lights(tmp_path_factory):
    """Photos of several sizes."""
    return open_light_images([str(write_photos(tmp_path_factory.mktemp("photos") / "photos", 7))])


def builder(folder, quality=0):
    save_profile(folder / "profile", [model_files(camera(jpeg_quality=quality))], "camera", {})
    return lambda: ImageDimmer.from_profile(folder / "profile")


def only_job(lights, variants):
    (job,) = plan_jobs(plan_shards(len(lights), variants, 500), lights, variants)
    return job


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("quality", [0, 80])
@pytest.mark.parametrize("batch_pixels", [1, 150_000, 8_000_000])
def test_a_shard_has_the_bytes_of_the_kernels(device, quality, batch_pixels, lights, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_worker, "BATCH_PIXELS", batch_pixels)
    build = builder(tmp_path, quality)
    settings = PairSettings(seed=3, light_format="jpg" if quality else "png")
    job = only_job(lights, variants=2)
    plain = PairShardWorker(build, str(tmp_path / "plain"), settings)
    made = PairShardWorker(build, str(tmp_path / "made"), settings)
    made._samples = GpuDimmer(build(), settings, device, threads=2).samples
    assert made(job) == plain(job)


def test_a_model_that_rounds_differently_on_a_device_is_refused(tmp_path):
    with pytest.raises(UsageError, match="model linear runs on the CPU only"):
        PairShardWorker(lambda: ImageDimmer.from_profile("linear"), str(tmp_path), PairSettings(), "cuda")


@pytest.mark.parametrize(
    ("device", "message"), [("cuda:99", "finds no GPU 99"), ("gpu", "no kind of device")]
)
def test_a_device_that_does_not_exist_is_refused(device, message, tmp_path):
    with pytest.raises(UsageError, match=message) as error:
        PairShardWorker(builder(tmp_path), str(tmp_path / "out"), PairSettings(), device)
    assert (error.value.code, error.value.fields) == ("device", {"device": device})


def test_a_photo_that_vanished_is_named(tmp_path):
    photos = write_photos(tmp_path / "photos", 3)
    lights = open_light_images([str(photos)])
    (photos / "photo01.jpg").write_bytes(encode_png(np.zeros((300, 300, 3), np.uint8)))
    dimmer = GpuDimmer(builder(tmp_path)(), PairSettings(), "cpu", threads=2)
    with pytest.raises(DimmagenError, match=r"photo01\.jpg.*has changed"):
        list(dimmer.samples(only_job(lights, variants=1)))


HEIGHTS = (12, 13, 12, 14, 13, 12)


@pytest.fixture
def tiny(monkeypatch):
    """Six light images in memory, of three sizes and two file types, which are loaded by their reference."""
    lights = {}
    for number, height in enumerate(HEIGHTS):
        pixels = np.random.default_rng(number).integers(40, 256, (height, 16, 3), np.uint8)
        extension, encode = ("jpg", encode_jpeg) if number % 2 else ("png", encode_png)
        ref = LightImageRef(
            f"k-{number}", "folder", f"{number}", "0" * 64, "verbatim", extension, 16, height, "{}"
        )
        lights[ref] = LightImage(ref, encode(pixels), pixels)
    monkeypatch.setattr(gpu_worker.light_image, "load_light_image", lights.__getitem__)
    return lights


def tiny_job(lights, variants=(3, 5), **more) -> ShardJob:
    return ShardJob(tuple(lights), tuple(f"train-{variant}" for variant in variants), variants, **more)


@pytest.mark.parametrize(
    ("batch_pixels", "batches"),
    [
        (1, [[0], [1], [2], [3], [4], [5]]),
        (16 * 25 - 1, [[0], [1], [2], [3], [4], [5]]),
        (16 * 25, [[0, 1], [2], [3], [4, 5]]),
        (16 * 37, [[0, 1, 2], [3, 4], [5]]),
        (8_000_000, [[0, 1, 2, 3, 4, 5]]),
    ],
)
def test_each_batch_has_its_pairs_variant_by_variant(tiny, batch_pixels, batches, monkeypatch):
    monkeypatch.setattr(gpu_worker, "BATCH_PIXELS", batch_pixels)
    assert [[int(one.ref.name) for one in batch] for batch in gpu_worker._batches(tiny.values())] == batches
    settings, dimmer = PairSettings(seed=3, light_format="png"), ImageDimmer(camera(jpeg_quality=80), "x", "")
    labels = tuple(b'{"annotations": [{"id": %d}]}' % number for number in range(len(tiny)))
    job = tiny_job(tiny, labels=labels, labels_extension="labels.json")
    made = list(GpuDimmer(dimmer, settings, "cpu", threads=2).samples(job))
    stored, by_key = [prepare_light(light, settings) for light in tiny.values()], job.labels_by_key()
    assert made == [
        (number, add_labels(make_pair(stored[index], dimmer, variant, settings), by_key, "labels.json"))
        for batch in batches
        for number, variant in enumerate(job.variants)
        for index in batch
    ]


def test_a_pair_that_cannot_be_made_is_named_with_its_variant(tiny, monkeypatch):
    dimmer, exposed = GpuDimmer(ImageDimmer(camera(), "x", ""), PairSettings(), "cpu", threads=1), []
    dimmer.model = SimpleNamespace(
        expose_tensors=dimmer.model.expose_tensors,
        develop=lambda image: exposed.append(image) or image[len(exposed) - 1 :],
    )
    job = tiny_job(list(tiny)[2:3])
    with pytest.raises(DimmagenError, match="pair k-2-v5 of folder '2' could not be made"):
        list(dimmer.samples(job))
    monkeypatch.setattr(gpu_worker.light_image, "load_light_image", {}.__getitem__)
    with pytest.raises(DimmagenError, match="pair k-2-v3 of folder '2' could not be made"):
        list(dimmer.samples(job))


@pytest.mark.parametrize(
    ("count", "name", "found"), [(0, "cuda", None), (1, "cuda", 0), (2, "cuda:1", 1), (1, "cuda:1", None)]
)
def test_a_gpu_is_one_of_those_that_there_are(count, name, found, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    if found is None:
        with pytest.raises(
            UsageError, match=rf"finds no GPU {name[5:] or 0} on this machine \(it finds {count}\)"
        ):
            gpu_worker.find_device(name)
    else:
        assert gpu_worker.find_device(name) == torch.device(name)
