"""Batches that are darkened on a GPU."""

import torch

from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.transforms.darkening import Darkening


def test_the_images_of_several_cameras_are_dimmed_on_a_device_as_one_by_one(monkeypatch):
    """On the CPU as the device: `_darken_on_device` is what a GPU's batches go through."""
    darkening = Darkening(["lol3", "lol8", "linear"], p=0.7, seed=0)
    draws = [darkening.draw(str(number)) for number in range(12)]
    assert {draw.profile for draw in draws} == {"", "lol3", "lol8", "linear"}
    lights = torch.randint(0, 256, (12, 2, 3, 7, 5), dtype=torch.uint8)
    batches_of = []
    expose = CameraModel.expose_tensors
    monkeypatch.setattr(
        CameraModel, "expose_tensors", lambda m, b, d: batches_of.append(len(d)) or expose(m, b, d)
    )
    frames = list(range(12))
    dark = darkening._darken_on_device(lights, draws, frames)
    assert torch.equal(dark, darkening.darken(lights, draws, frames))
    assert len(batches_of) == 2  # one for each camera
    assert not torch.equal(dark[0], lights[0]) or draws[0].draw is None
