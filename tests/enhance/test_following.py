"""The progress of a run on several workers is that of its log."""

from dimmagen.enhance.following import _Follower, log_followed
from dimmagen.enhance.log import Log
from dimmagen.enhance.run_folder import RunFolder


class Told(list):
    def begin(self, done, total):
        self.append((done, total))

    def iteration(self, values):
        self.append(values)


def write(out, first, last, **more):
    """The rows that a run writes that goes on behind iteration `first - 1`."""
    out.mkdir(exist_ok=True)
    with Log(RunFolder(out), first - 1) as log:
        for number in range(first, last + 1):
            log.row({"iteration": number, "loss": 0.5, **more})


def test_every_iteration_is_told_although_the_run_ends_between_two_looks(tmp_path):
    told = Told()
    with log_followed(tmp_path / "run", 9, told, seconds=60):
        write(tmp_path / "run", 1, 2, psnr=20.0)
    assert told == [(0, 9), *({"iteration": number, "loss": 0.5, "psnr": 20.0} for number in (1, 2))]


def test_rows_that_a_stopped_run_left_are_told_when_they_are_made_again(tmp_path):
    write(tmp_path, 1, 5)
    told = Told()
    follower = _Follower(tmp_path, 9, told)
    follower.look()
    assert told == []  # nobody works yet
    write(tmp_path, 4, 3)  # goes on behind the checkpoint of iteration 3
    follower.look()
    write(tmp_path, 4, 4)
    follower.look()
    assert told == [(3, 9), {"iteration": 4, "loss": 0.5}]
