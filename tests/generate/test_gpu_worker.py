"""Dimming on a device makes the shards that the CPU kernel makes."""

import numpy as np
import pytest
import torch

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dimmers.camera.model import model_files
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.profile import save_profile
from dimmagen.generate import gpu_worker
from dimmagen.generate.gpu_worker import GpuDimmer
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.plan import plan_jobs, plan_shards
from dimmagen.generate.worker import PairShardWorker
from dimmagen.images.codec import encode_png
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
