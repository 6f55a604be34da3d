"""Which tests judge the changes of a module: those of its own name, unless it is named here.

The fastest tests that are about a module; of them, those judge a change that call the changed function.
"""

import os
from pathlib import PurePosixPath

_PLAINLY = "camera::test_the_kernel_gives_the_pixels_of_a_plain_implementation"
# By module, below the folder of tests that is named like its own. `a/b` is `a/test_b.py`.
_OTHERS = {
    "core.storage.fsspec_files": ("../storage", "../remote", "../remembered_listings", "../file_servers"),
    "core.storage.listing": ("../storage", "../remote", "../remembered_listings"),
    "core.storage.paths": ("../storage",),
    "core.storage.range_reader": ("../remote", "../file_servers"),
    "core.storage.reading": ("../storage", "../remote"),
    "core.storage.remote": ("../remote", "../remembered_listings", "../file_servers"),
    "core.storage.writing": ("../storage", "../abandoned", "../file_servers"),
    "dataset.census": ("manifest", "../generate/tiny_runs"),
    "dataset.checking": ("verify", "shard_checks"),
    "dataset.compare_unordered": ("compare",),
    "dataset.generations": ("../generate/growing/tiny_generations",),
    "dataset.loader_checks": ("loaders",),
    "dataset.loader_items": ("loaders",),
    "dataset.manifest": ("manifest", "verify", "../generate/tiny_runs"),
    "dataset.other_outputs": ("manifest", "loaders"),
    "dataset.matching": ("compare",),
    "dataset.loader_state": ("loader_state", "loaders"),
    "dataset.loaders": ("loaders", "loader_means", "loader_state"),
    "dataset.pair_dataset": ("loaders",),
    "dataset.pair_stream": ("loaders", "loader_state"),
    "dataset.pair_tables": ("reader", "verify", "statistics", "../generate/derived/tiny_subsets"),
    "dataset.reader": ("reader", "verify", "writer", "../generate/derived/tiny_subsets"),
    "dataset.schema": ("schema", "writer", "verify"),
    "dataset.sheet": ("sheet", "report"),
    "dataset.verify": ("verify", "../generate/tiny_runs"),
    "generate.derived": ("derived/tiny_files", "derived/tiny_subsets"),
    "generate.estimate.calibration": ("tiny_estimate",),
    "generate.estimate.estimate": ("tiny_estimate",),
    "generate.estimate.from_sample": ("tiny_estimate",),
    "generate.estimate.sample": ("tiny_samples",),
    "generate.finalize": ("tiny_runs",),
    "generate.from_manifest": ("tiny_replays",),
    "generate.growing": ("growing/tiny_additions", "growing/tiny_generations"),
    "generate.light_format": ("tiny_formats",),
    "generate.merge": ("derived/tiny_merges",),
    "generate.plan": ("plan", "tiny_runs"),
    "generate.previous_run": ("dataset_folder", "resume", "trouble_of_runs"),
    "generate.finalize_run": ("tiny_runs", "growing/tiny_additions"),
    "generate.regrowing": ("growing/tiny_regrowing", "tiny_reproducing"),
    "generate.removing": ("growing/tiny_removing",),
    "generate.replay": ("tiny_replays",),
    "generate.reproducing": ("tiny_reproducing",),
    "generate.resume": ("dataset_folder", "resume", "tiny_runs"),
    "generate.run_notes": ("dataset_folder", "resume", "tiny_runs"),
    "generate.run": ("pair", "tiny_runs", "derived/tiny_files::test_the_files_with_labels"),
    "generate.run_plan": ("pair", "tiny_runs", "growing/tiny_additions"),
    "generate.subset": ("derived/tiny_subsets",),
    "generate.worker": ("tiny_runs",),
    "dimmers.base": ("draws", "profiles/profile_dimmers"),
    "dimmers.camera.block_noise": ("block_noise", "noise_steps"),
    "dimmers.camera.chroma_fit": ("chroma_steps",),
    "dimmers.camera.fit": ("response_steps", "chroma_steps"),
    "dimmers.camera.model": ("model", "batches", _PLAINLY),
    "dimmers.camera.noise_fit": ("noise_steps",),
    "dimmers.camera.response": ("model",),
    "dimmers.camera.response_fit": ("response_steps",),
    "dimmers.camera.scene_fit": ("response_steps",),
    "dimmers.camera.stored": ("model",),
    "dimmers.camera.structure": ("structure_steps",),
    "dimmers.camera.structure_fit": ("structure_steps",),
    "dimmers.camera.tiles": ("response_steps",),
    "dimmers.camera.torch_kernel": ("torch_kernel", "batches"),
    "dimmers.camera.torch_random": ("torch_kernel",),
    "dimmers.camera.torch_structure": ("torch_kernel",),
    "dimmers.dimmer": ("draws", "profiles/profile_dimmers"),
    "dimmers.mdn.fit": ("definitions",),
    "dimmers.mdn.illumination": ("illumination_definitions", "illumination"),
    "dimmers.mdn.kinds": ("../fit",),
    "dimmers.mdn.model": ("definitions", "../fit"),
    "dimmers.mdn.network": ("definitions",),
    "dimmers.mdn.reference": ("definitions", "../fit"),
    "dimmers.pair_alignment": ("pair_alignment", "real_pairs", "pair_problems"),
    "dimmers.pair_colours": ("pair_problems",),
    "dimmers.pair_likeness": ("real_pairs", "pair_problems", "pair_alignment"),
    "dimmers.pair_matching": ("pair_matching", "pair_layouts"),
    "dimmers.pair_problems": ("pair_problems", "real_pairs", "pair_alignment"),
    "dimmers.profile": ("profiles/profile", "profiles/damaged_profiles"),
    "dimmers.profile_folders": ("profiles/profile_folders",),
    "dimmers.profile_json": ("profiles/damaged_profiles", "profiles/profile"),
    "dimmers.real_pairs": ("real_pairs", "pair_layouts"),
    "dimmers.stored_model": ("stored_model", "profiles/damaged_profiles"),
    "enhance.log": ("loggers", "following", "run_folder"),
    "enhance.prefetch": ("acceleration", "loop"),
    "evaluation.pair_comparison": ("pair_comparison", "repeats", "profile_check"),
    "sources.archives.entry": ("../source_archives", "../source_folders", "../candidates"),
    "sources.archives.folders": ("../source_folders",),
    "sources.archives.listing": (
        "../source_archives",
        "../source_folders",
        "../archive_formats",
        "../own_outputs",
    ),
    "sources.archives.plugins": ("../archive_formats", "../archive_contract"),
    "sources.archives.reading": ("../source_archives", "../archive_formats"),
    "sources.archives.tars": ("../source_archives",),
    "sources.archives.zips": ("../source_archives",),
}
# Modules of kernels, with few tests of small images: interpreted, a kernel takes a thousand times as long.
_KERNELS = {
    "dimmers.camera.chroma": ("chroma::test_a_share", "chroma::test_an_empty"),
    "dimmers.camera.kernel": (_PLAINLY, "camera::test_filters_with_gaps"),
    "dimmers.camera.structure_kernel": (
        _PLAINLY,
        "camera::test_noise_of_rows_or_of_columns_alone",
        "camera::test_filters_with_gaps",
    ),
    "dimmers.noise": ("noise::test_the_words",),
}
KERNELS = tuple(f"dimmagen.{name}" for name in _KERNELS)


def judges_of(module: str) -> tuple[str, ...]:
    """The beginnings of the names of the tests that judge a module, such as `dimmagen.dataset.card`."""
    name = module.removeprefix("dimmagen.")
    folder, _, own = name.rpartition(".")
    return tuple(_test(folder.replace(".", "/"), one) for one in {**_OTHERS, **_KERNELS}.get(name, (own,)))


def _test(folder: str, written: str) -> str:
    file, colons, test = written.partition("::")
    place = PurePosixPath("tests", folder, file)
    return os.path.normpath(place.with_name(f"test_{place.name}.py")).replace(os.sep, "/") + colons + test
