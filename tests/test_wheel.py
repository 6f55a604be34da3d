"""`make test-wheel` runs what the README says: its commands are found, and what they read is made."""

import sys

import pytest

from pipelines import demo, wheel

TEXT = """
```sh
make demo     # not a command of ours
dimmagen verify out/                      # with a comment
dimmagen build-mixhq --source coco=a.zip \\
    --out mixhq/
```
```
dimmagen in a block that is not for a shell
```
```sh
make test
```
"""


def test_commands_are_read_from_shell_blocks_without_comments_and_with_continued_lines():
    found = wheel.readme_commands(TEXT)
    assert found == [["dimmagen verify out/", "dimmagen build-mixhq --source coco=a.zip --out mixhq/"]]


def test_the_readme_has_the_demos_commands_and_a_block_for_each_list_of_further_ones():
    blocks = wheel.readme_commands((wheel.ROOT / "README.md").read_text())
    assert blocks[0] == list(demo.COMMANDS)
    assert len(blocks) == len(wheel.MORE) == 4


def test_what_the_readmes_commands_read_is_made(tmp_path):
    wheel.make_inputs(tmp_path)
    blocks = wheel.readme_commands((wheel.ROOT / "README.md").read_text())
    text = " ".join(command for block in blocks for command in block)
    named = ["my-phone", "train2017", "LOLdataset/eval15/high", "unlabeled2017.zip", "CLIC.zip", "Inter4K"]
    for name in [*named, "ILSVRC2012_img_val.tar", "LOLdataset"]:
        assert name in text
        assert (tmp_path / name).exists()
    assert "~/Pictures" in text
    assert any((tmp_path / "home" / "Pictures").iterdir())


def test_a_command_that_fails_is_an_error_with_its_code_and_its_message(tmp_path):
    with pytest.raises(wheel.WheelError, match=r"(?s)ended with 3:\nno such thing"):
        wheel._run([sys.executable, "-c", "import sys; print('no such thing'); sys.exit(3)"], tmp_path)
