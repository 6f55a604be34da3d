"""Lists of pairs as people write them and spreadsheets save them, and what a refused one is told."""

import pytest

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.real_pairs import load_pairs
from tests.dimmers.pair_files import make, refused, values, write_list


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "header",
    [
        "dark/light",
        "Low/Normal",
        "input/target",
        "INPUT/GT",
        "short/long",
        "low_path/high_path",
        "LQ image/GT image",
    ],
)
def test_a_list_is_read_with_any_separator_and_header(separator, header, tmp_path):
    make(tmp_path, {1: ("a, b/1.png", "c; d/1.png"), 2: ("a, b/2.png", "c; d/2.png")})
    rows = [header.replace("/", separator)]
    rows += [f'"a, b/{scene}.png"{separator}"c; d/{scene}.png"' for scene in (2, 1)]
    (tmp_path / "pairs.csv").write_text("\r\n".join(rows) + "\r\n")
    assert list(values(load_pairs(tmp_path / "pairs.csv")).items()) == [("2", (2, 102)), ("1", (1, 101))]


def test_a_list_names_its_pairs_in_columns_of_any_order(tmp_path):
    make(tmp_path, {1: ("d/100.png", "l/desk.png"), 2: ("d/025.png", "l/desk.png")})
    text = "iso;high;name;low\n100;l/desk.png;desk-100;d/100.png\n25;l/desk.png;desk-025;d/025.png\n"
    (tmp_path / "pairs.csv").write_text(text)
    found = load_pairs(tmp_path / "pairs.csv")
    assert values(found) == {"desk-100": (1, 102), "desk-025": (2, 102)}
    assert values(load_pairs(tmp_path / "pairs.csv", ["desk-025"])) == {"desk-025": (2, 102)}
    (tmp_path / "pairs.csv").write_text("low\thigh\nd/100.png\tl/desk.png\nd/025.png\tl/desk.png\n")
    assert values(load_pairs(tmp_path / "pairs.csv")) == {"100": (1, 102), "025": (2, 102)}


def test_a_list_of_a_spreadsheet_on_windows_is_read(tmp_path):
    make(tmp_path, {1: ("low/1.png", "high/1.png")})
    (tmp_path / "pairs.csv").write_bytes("\ufeffsep=;\r\nlow;high\r\nlow\\1.png;high\\1.png\r\n".encode())
    assert values(load_pairs(tmp_path / "pairs.csv")) == {"1": (1, 101)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "before,after\nlow/1.png,high/1.png\n",
            r"line 1 has the columns before, after.*dark and light.*name",
        ),
        ("low/1.png,high/1.png,100\n", r"line 1 has 3 columns"),
        ("low;high\nlow/1.png\n", r"line 2 has 1 columns"),
        ("low,high,normal\nlow/1.png,high/1.png,high/1.png\n", r"has the columns low, high, normal"),
        (
            "name,low,high\na,low/1.png,high/1.png\na,low/2.png,high/2.png\n",
            r"line 3: .*already a pair named a",
        ),
        ("name,low,high\n,low/1.png,high/1.png\n", r"line 2: the pair has no name"),
        ("low/1.png,high/1.png\nlow/1.png,high/1.png\n", r"line 2: the pair 1\.png, 1\.png is there already"),
        ('[{"low": "low/1.png", "high": "high/1.png"}]', "is JSON, and not CSV"),
        ('{"low": "low/1.png"}\n{"low": "low/2.png"}\n', "is JSON, and not CSV"),
        ("low,high\n", "holds no pairs"),
        ("", "holds no pairs"),
        ("low/1.png\n", r"line 1 has 1 columns"),
    ],
)
def test_a_list_that_is_not_understood_is_refused_with_its_line(text, said, tmp_path):
    path = write_list(tmp_path, {1: ("low/1.png", "high/1.png"), 2: ("low/2.png", "high/2.png")}, text)
    with pytest.raises(UsageError, match=said):
        load_pairs(path)


def test_a_list_may_have_spaces_between_its_columns(tmp_path):
    """As lists of data loaders have them; two spaces are one separator, and those at the ends are none."""
    text = "./low/1.png ./high/1.png \n low/2.png  high/2.png\n"
    path = write_list(tmp_path, {1: ("low/1.png", "high/1.png"), 2: ("low/2.png", "high/2.png")}, text)
    assert list(values(load_pairs(path))) == ["1", "2"]


@pytest.mark.parametrize("folder", ["[day]", "[1]", "{1}"])
def test_a_list_may_begin_with_a_path_in_brackets(folder, tmp_path):
    files = {1: (f"{folder}/low.png", f"{folder}/high.png")}
    path = write_list(tmp_path, files, f"{folder}/low.png,{folder}/high.png\n")
    assert len(load_pairs(path)) == 1


def test_of_a_list_with_splits_the_pairs_for_evaluation_are_left_out(tmp_path, caplog):
    files = {one: (f"low/{one}.png", f"high/{one}.png") for one in (1, 2, 3)}
    text = "low,high,split\nlow/1.png,high/1.png,train\nlow/2.png,high/2.png,test\nlow/3.png,high/3.png,\n"
    path = write_list(tmp_path, files, text)
    with caplog.at_level("INFO", "dimmagen"):
        assert list(values(load_pairs(path))) == ["1", "3"]
    assert "not those of the split test" in caplog.text
    path.write_text(text.replace("train", "test"))  # a list of an evaluation split
    assert list(values(load_pairs(path))) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("column", "cells", "kept"),
    [
        ("phase", ["train", "test", "train"], ["1", "3"]),
        ("set", ["Training", "VAL", "Dev"], ["1"]),
        ("camera", ["train", "test", "kitchen"], ["1", "2", "3"]),  # a train, and a test
        ("edges", ["train/1.png", "test/2.png", "train/3.png"], ["1", "2", "3"]),
    ],
)
def test_a_column_of_nothing_but_splits_is_one_whatever_its_name(column, cells, kept, tmp_path, caplog):
    files = {one: (f"low/{one}.png", f"high/{one}.png") for one in (1, 2, 3)}
    rows = [f"low/{one}.png,{cell},high/{one}.png" for one, cell in zip(files, cells, strict=True)]
    path = write_list(tmp_path, files, "\n".join([f"low,{column},high", *rows]))
    with caplog.at_level("INFO", "dimmagen"):
        assert list(values(load_pairs(path))) == kept
    assert ("not those of the split" in caplog.text) == (len(kept) < 3)


def test_a_list_with_two_separators_is_refused(tmp_path):
    path = write_list(tmp_path, {1: ("a.png", "b.png")}, "a.png;b.png,c.png\n")
    with pytest.raises(UsageError, match="a comma and with a semicolon"):
        load_pairs(path)


def test_pairs_of_a_list_elsewhere_have_the_paths_of_their_files_as_names(tmp_path):
    make(tmp_path, {1: ("s1/1.png", "l1/1.png"), 2: ("s2/1.png", "l2/1.png")})
    (tmp_path / "lists").mkdir()
    text = "".join(f"{tmp_path}/s{number}/1.png,{tmp_path}/l{number}/1.png\n" for number in (1, 2))
    (tmp_path / "lists/pairs.csv").write_text(text)
    names = [(tmp_path / f"s{number}/1").as_posix() for number in (1, 2)]
    assert list(values(load_pairs(tmp_path / "lists/pairs.csv"))) == names


def test_a_quoted_cell_may_stand_behind_a_space(tmp_path):
    path = write_list(tmp_path, {1: ("low/1.png", "c, d/1.png")}, 'low/1.png, "c, d/1.png"\n')
    assert values(load_pairs(path)) == {"1": (1, 101)}


@pytest.mark.needs("home")
def test_a_backslash_of_a_name_that_exists_is_kept(tmp_path):
    make(tmp_path, {1: ("low\\1.png", "high\\1.png")})
    path = write_list(tmp_path, {2: ("low/1.png", "high/1.png")}, "low\\1.png,high\\1.png\n")
    assert list(values(load_pairs(path)).values()) == [(1, 101)]


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("x,y\n", "line 1 has the columns x, y", 1),
        ("a;b;c,d\n", "line 1 has the columns a, b, c,d", 1),
        ("a;b,c,d\n", "line 1 has the columns a;b, c, d", 1),
        ("name,id,low,high\n", "line 1 has the columns name, id, low, high", 1),
        ("\nlow/1.png\n", "line 2 has 1 columns and no header", 2),
        ("low,high\na/1.png\n", "line 2 has 1 columns", 2),
        ("high,low\na/1.png\n", "line 2 has 1 columns", 2),
        ("low,high,name\na/1.png,b/1.png\n", "line 2 has 2 columns", 2),
    ],
)
def test_a_refused_list_is_told_with_its_path_and_line(text, said, line, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    error = refused(path)
    assert error.what == f"{path} {said}"
    assert "(low and high, low and normal, input and target" in error.todo
    assert (error.code, error.fields) == ("wrong-format", {"path": str(path), "line": line})


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_a_list_is_read_as_excel_and_powershell_store_it(tmp_path, encoding):
    make(tmp_path, {1: ("дом/1.png", "light/1.png")})
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    text = f"{mark}dark\tlight\r\nдом/1.png\tlight/1.png\r\n"
    (tmp_path / "pairs.txt").write_bytes(text.encode(encoding))
    assert values(load_pairs(tmp_path / "pairs.txt")) == {"1": (1, 101)}


def test_a_list_in_another_encoding_has_no_line(tmp_path):
    (tmp_path / "pairs.csv").write_bytes(b"low,h\xffgh\n")
    error = refused(tmp_path / "pairs.csv")
    assert ("is not UTF-8 text" in error.what, error.todo) == (True, "save it as CSV in UTF-8")
    assert error.fields == {"path": str(tmp_path / "pairs.csv")}


def test_a_file_of_a_list_that_is_missing_is_told_with_its_line(tmp_path):
    path = write_list(tmp_path, {1: ("low/1.png", "high/1.png")}, "low,high\nlow/1.png,high/9.png\n")
    error = refused(path)
    assert error.what == f"{path} line 2: there is no file {tmp_path / 'high/9.png'}"
    assert error.fields == {"path": str(tmp_path / "high/9.png"), "line": 2}


def test_a_cell_beyond_any_path_is_no_csv(tmp_path):
    (tmp_path / "pairs.csv").write_text(f"low,{'x' * 140_000}\n")
    error = refused(tmp_path / "pairs.csv")
    assert error.what.startswith(f"{tmp_path / 'pairs.csv'} is not a CSV file (field larger than")


def test_the_separator_that_a_spreadsheet_notes_is_the_only_one(tmp_path):
    path = write_list(tmp_path, {1: ("a.png", "b.png,c.png")}, "sep=;\na.png;b.png,c.png\n")
    assert values(load_pairs(path)) == {"b.png,c": (1, 101)}


def test_dark_files_that_differ_in_their_type_alone_name_their_pairs_with_it(tmp_path):
    path = write_list(
        tmp_path, {1: ("x/1.png", "l/1.png"), 2: ("x/1.bmp", "k/1.png")}, "x/1.png,l/1.png\nx/1.bmp,k/1.png\n"
    )
    assert list(values(load_pairs(path))) == [
        str(tmp_path / "x/1.png"),
        str(tmp_path / "x/1.bmp"),
    ]


def test_a_list_names_files_with_accents_as_another_system_writes_them(tmp_path):
    path = write_list(
        tmp_path, {1: ("low/e\u0301.png", "high/\u00e9.png")}, "low/\u00e9.png,high/e\u0301.png\n"
    )
    assert list(values(load_pairs(path)).values()) == [(1, 101)]
