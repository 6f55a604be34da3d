"""Candidates on disk: the orders in which they come back."""

from hypothesis import given
from hypothesis import strategies as st

from dimmagen.core import keyed_random
from dimmagen.sources.candidates import Candidates
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.scan import Candidate

names = st.lists(st.tuples(st.sampled_from(["clic", "coco"]), st.text("abc", max_size=3), st.booleans()))


def seen(number: int, source: str, name: str, accepted: bool) -> Candidate:
    row = CatalogRow(
        source,
        name,
        "",
        f"{source}-{number:016x}",
        "0" * 64,
        9,
        8,
        8,
        "PNG",
        "RGB",
        None,
        None,
        accepted,
        "",
        "",
    )
    return Candidate(row, {"number": number})


@given(names)
def test_all_come_in_the_order_seen_the_accepted_by_rank_the_rejected_by_name(candidates):
    given_in = [seen(number, *candidate) for number, candidate in enumerate(candidates)]
    judged = Candidates(iter(given_in))
    assert list(judged) == given_in
    accepted = [one for one in given_in if one.row.accepted]
    ranked = sorted(accepted, key=lambda one: keyed_random.rank(0, one.row.key, "order"))
    assert list(judged.accepted()) == ranked
    assert list(judged.accepted(1, 3)) == ranked[1:3]
    rejected = [one.row for one in given_in if not one.row.accepted]
    assert list(judged.rejected()) == sorted(rejected, key=lambda row: (row.source, row.name))
