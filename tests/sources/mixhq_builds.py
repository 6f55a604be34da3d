"""A MixHQ as the command builds it, in fewer steps."""

from dimmagen.sources import mixhq, parse_specs
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.candidates import Candidates
from dimmagen.sources.scan import scan
from dimmagen.sources.scene_hash import SceneHashes


def build(texts, out, samples_per_shard=3, workers=2, exclude=(), on_light=lambda: None):
    candidates = list_candidate_files(parse_specs(texts))
    scenes = SceneHashes.from_paths(exclude) if exclude else None
    inputs = mixhq.describe_inputs(candidates, scenes, samples_per_shard)
    if mixhq.finished_verdict_counts(str(out), inputs) is not None:
        return None
    scanned = Candidates(scan(candidates.files, scenes, workers))
    return mixhq.write_mixhq(str(out), scanned, inputs, workers, on_light)
