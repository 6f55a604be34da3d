"""Candidates on disk: the orders in which they are returned."""

from hypothesis import given
from hypothesis import strategies as st

from dimmagen.core import disk_list, keyed_random
from dimmagen.sources.candidates import Candidates
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.scan import Candidate

values_of_candidates = st.lists(
    st.tuples(st.sampled_from(["clic", "coco"]), st.text("abc", max_size=3), st.booleans())
)


def candidate(number: int, source: str, name: str, accepted: bool) -> Candidate:
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


@given(values_of_candidates)
def test_all_come_in_the_order_of_the_index_accepted_ones_by_rank_and_rejected_ones_by_name(all_values):
    indexed = [candidate(number, *values) for number, values in enumerate(all_values)]
    candidates = Candidates(iter(indexed))
    assert list(candidates) == indexed
    accepted = [one for one in indexed if one.row.accepted]
    ranked = sorted(accepted, key=lambda one: keyed_random.rank(0, one.row.key, "order"))
    assert list(candidates.accepted()) == ranked
    assert list(candidates.accepted(1, 3)) == ranked[1:3]
    rejected = [one.row for one in indexed if not one.row.accepted]
    assert list(candidates.rejected()) == sorted(rejected, key=lambda row: (row.source, row.name))


@given(values_of_candidates, st.integers(0, 5))
def test_those_beyond_the_limit_are_rejected_wherever_they_come(all_values, limit):
    indexed = [candidate(number, *values) for number, values in enumerate(all_values)]
    candidates = Candidates(iter(indexed), limit)
    accepted = [one for one in indexed if one.row.accepted]
    ranked = sorted(accepted, key=lambda one: keyed_random.rank(0, one.row.key, "order"))
    assert list(candidates.accepted()) == ranked[:limit]
    beyond = {one.row.key for one in ranked[limit:]}
    assert {row.key for row in candidates.rejected() if row.rule == "limit"} == beyond
    assert {one.row.key for one in candidates if one.row.rule == "limit"} == beyond
    assert [one.row.key for one in candidates] == [one.row.key for one in indexed]


def test_a_million_rejected_candidates_are_not_a_million_files(monkeypatch):
    """Each was one for a moment, as the default of a dictionary's entry."""
    opened, temporary_file = [], disk_list.tempfile.TemporaryFile

    def count(**options):
        opened.append(options)
        return temporary_file(**options)

    monkeypatch.setattr(disk_list.tempfile, "TemporaryFile", count)
    for limit, accepted in ((None, False), (1, True)):
        opened.clear()
        rows = (candidate(number, "clic", f"{number:03}", accepted) for number in range(100))
        assert len(list(Candidates(rows, limit).rejected())) == 100 - accepted
        assert len(opened) < 10
