"""A plug-in of pytest that judges small changes of the code, each in a process of its own.

The changes are mutmut's: every function is in the package with all its changed versions, and the variable
`MUTANT_UNDER_TEST` says which one is called. mutmut's own runner starts pytest for each change. This one runs
the tests once, notes what each calls, and then forks for each change: what was imported and compiled is
there, and so are the fixtures that do not call the changed function. The tests that call it come cheapest
first, after those that found the last changes of the same function, until one fails.
"""

import gc
import os
import shutil
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from inspect import isgeneratorfunction
from itertools import zip_longest
from pathlib import Path

import pytest

_ACTIVE = "MUTANT_UNDER_TEST"
_FOLDER = Path("one_change").absolute()  # of the tests' temporary files


class Judge:
    """Judges changes by the tests of the session.

    Args:
        changes: names, those of one function together.
        judges: the beginnings of the names of the tests that judge a module, by its name.
        left_out: names of tests that are not run.
        on_verdict: called with a name, the verdict, the test that failed, and seconds of processor time.
        warm_up: called before the first test, which is not to be charged with imports and compiled kernels:
            a fixture that seems to take long is not made anew for a change.
        longest: seconds of processor time of the tests for one change; those beyond are not run.
    """

    def __init__(
        self,
        changes: list[str],
        judges: dict[str, tuple[str, ...]],
        left_out: Iterable[str],
        on_verdict: Callable[[str, str, str, float], None],
        warm_up: Callable[[], object],
        longest: float,
    ) -> None:
        self.changes, self.judges, self.left_out, self.on_verdict = changes, judges, left_out, on_verdict
        self.warm_up, self.longest = warm_up, longest
        self.calls: dict[str, set[str]] = {}  # functions by test
        self.seconds: dict[str, float] = {}  # of a test, without fixtures of modules and sessions
        self.killers: dict[str, list[str]] = defaultdict(list)  # tests by function
        self.fixture_calls: dict = defaultdict(set)
        self.fixture_seconds: dict = {}
        self.made: dict = {}  # results of fixtures of modules and sessions

    def pytest_collection_modifyitems(self, config, items):
        judges = tuple({test for name in self.changes for test in self.judges[module_of(name)]})
        left_out = [
            item
            for item in items
            if getattr(item, "originalname", item.name) in self.left_out or not item.nodeid.startswith(judges)
        ]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        if os.environ.get(_ACTIVE) != "stats":
            return (yield)
        before, start, inner = _called(), time.process_time(), sum(self.fixture_seconds.values())
        _set_called(set())
        try:
            result = yield
        finally:
            self.fixture_calls[fixturedef] |= _called()
            _set_called(before | self.fixture_calls[fixturedef])
        if fixturedef.scope != "function":
            spent = sum(self.fixture_seconds.values()) - inner
            self.fixture_seconds[fixturedef] = time.process_time() - start - spent
            if not isgeneratorfunction(fixturedef.func):  # whose result would have been ended
                self.made[fixturedef] = fixturedef.cached_result
        return result

    def pytest_runtestloop(self, session):
        self._survey(session)
        os.environ[_ACTIVE] = ""
        gc.collect()
        gc.freeze()  # or else each process copies all that its collector looks at
        failed = self._judge(session, "", session.items, 600)
        if failed[0] != "survived":
            print(f"fails when it is run again, without any change: {failed[1]}", file=sys.stderr)
            raise SystemExit(1)
        for name in self.changes:
            items, seconds = self._items(session, name)
            verdict, killer, seconds = (
                self._judge(session, name, items, seconds) if items else ("no tests", "", 0.0)
            )
            if killer:
                self.killers[function_of(name)].append(killer)
            self.on_verdict(name, verdict, killer, seconds)
        return True

    def _survey(self, session) -> None:
        """Run every test once. Those that fail on the unchanged code judge nothing."""
        os.environ[_ACTIVE] = "stats"
        self.warm_up()
        for item, following in zip_longest(session.items, session.items[1:]):
            failed, start = session.testsfailed, time.process_time()
            in_fixtures = sum(self.fixture_seconds.values())
            _set_called(set())
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed != failed:
                print(f"fails without any change: {item.nodeid}", file=sys.stderr)
                continue
            called = _called().union(*(self.fixture_calls[fixture] for fixture in _fixtures(item)))
            in_fixtures = sum(self.fixture_seconds.values()) - in_fixtures
            self.calls[item.nodeid] = called
            self.seconds[item.nodeid] = time.process_time() - start - in_fixtures
        session.items[:] = [item for item in session.items if item.nodeid in self.calls]

    def _items(self, session, name: str) -> tuple[list, float]:
        """The tests that judge a change, in order, and how long they take."""
        function = function_of(name)
        judges = self.judges[module_of(name)]
        items = [item for item in session.items if function in self.calls[item.nodeid]]
        costs = {item: self._cost(item, function, set()) for item in items if item.nodeid.startswith(judges)}
        latest = self.killers[function][-3:]
        total, chosen, made = 0.0, [], set()
        for item in sorted(costs, key=lambda item: (item.nodeid not in latest, costs[item])):
            total += self._cost(item, function, made)
            if chosen and total > self.longest:
                break
            chosen.append(item)
            made.update(_fixtures(item))
        return chosen, total

    def _cost(self, item, function: str, made: set) -> float:
        """Seconds of a test with the fixtures that it needs anew, unless they are `made` already."""
        again = {fixture for fixture in _fixtures(item) if self._is_stale(fixture, item, function)}
        return self.seconds[item.nodeid] + sum(self.fixture_seconds.get(one, 0) for one in again - made)

    def _is_stale(self, fixture, item, function: str) -> bool:
        """Whether a fixture calls the function, or is made of one that does."""
        if fixture not in self.made or function in self.fixture_calls[fixture]:
            return True
        return any(
            self._is_stale(one, item, function)
            for name in fixture.argnames
            for one in item._fixtureinfo.name2fixturedefs.get(name, ())[-1:]
            if one is not fixture and one.scope != "function"
        )

    def _judge(self, session, name: str, items: list, seconds: float) -> tuple[str, str, float]:
        """Verdict, the test that failed, and seconds of processor time."""
        shutil.rmtree(_FOLDER, ignore_errors=True)
        _FOLDER.mkdir()
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(read_end)
                os.chdir(_FOLDER)  # where a change that leaves out the folder of a file may write it
                _limit(int(3 + 3 * seconds))
                killer = self._first_failure(session, name, items)
                os.write(write_end, killer.encode())
                os._exit(bool(killer))
            finally:
                os._exit(3)
        os.close(write_end)
        with open(read_end) as pipe:
            killer = pipe.read()
        _, status, usage = os.wait4(child, 0)
        code = os.waitstatus_to_exitcode(status)
        verdict = {0: "survived", -signal.SIGXCPU: "timeout", -signal.SIGALRM: "timeout"}.get(code, "killed")
        return verdict, killer, usage.ru_utime + usage.ru_stime

    def _first_failure(self, session, name: str, items: list) -> str:
        """Run tests until one fails, and return its name; in a process of its own."""
        session.config._tmp_path_factory._basetemp = _FOLDER
        os.environ[_ACTIVE] = name
        for item, following in zip_longest(items, items[1:]):
            for fixture in _fixtures(item):
                if fixture in self.made and not self._is_stale(fixture, item, function_of(name)):
                    fixture.cached_result = self.made[fixture]
            failed = session.testsfailed
            item._initrequest()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed != failed:
                return item.nodeid
        return ""


def function_of(name: str) -> str:
    """The changed function of a change."""
    return name.rpartition("__mutmut_")[0]


def module_of(name: str) -> str:
    """The module of a change."""
    return name.partition(".x")[0]


def _limit(seconds: int) -> None:
    """Silence this process, and limit its time, its files and its memory."""
    import resource

    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**28, 2**28))
    resource.setrlimit(resource.RLIMIT_DATA, (6 * 2**30, 6 * 2**30))
    signal.alarm(30 + 15 * seconds)  # for one that sleeps


def _fixtures(item) -> list:
    return [one for definitions in item._fixtureinfo.name2fixturedefs.values() for one in definitions]


def _called() -> set[str]:
    from mutmut.state import state

    return set(state()._stats)


def _set_called(functions: set[str]) -> None:
    from mutmut.state import state

    state()._stats.clear()
    state()._stats.update(functions)
