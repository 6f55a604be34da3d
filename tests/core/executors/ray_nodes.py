"""A Ray cluster of several nodes on this machine, started with the commands of docs/cluster.md.

Each node is a separate process tree, so that nodes can be killed and others can join.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.killing import Held, descendants, kill, wait_for

# A lost node is detected within a second; one that only has to wait for a processor is not lost.
QUICK_CHECKS = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 200,
    "health_check_timeout_ms": 30_000,
    "health_check_failure_threshold": 3,
}


class RayNodes:
    """Call :meth:`have`, then use `address` with the environment `environ`."""

    def __init__(self, processors: int, held: Held) -> None:
        self.processors = processors
        self.environ = {
            **held.environ,
            "OMP_NUM_THREADS": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "of-the-tests",
        }
        self.address = ""
        self.nodes: list[subprocess.Popen] = []  # the head first
        self._places: list[str] = []

    def have(self, count: int) -> None:
        """Start missing nodes, up to a head and `count` - 1 other nodes."""
        if self.nodes and self.nodes[0].poll() is not None:
            self.end()
        while len(self.nodes) < count:
            self._wait_for(self.join())

    def join(self) -> subprocess.Popen:
        """Start one more node, without waiting until it is ready."""
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        command += ["--num-cpus", str(self.processors), "--object-store-memory", str(80 * 2**20)]
        # Ports that the system chooses: all nodes are on this machine, and begin with the same one otherwise.
        command += ["--min-worker-port", "0", "--max-worker-port", "0"]
        if not self.nodes:
            place = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # socket paths must be short
            self._places.append(place)
            command += ["--head", "--port=0", "--include-dashboard=false", f"--temp-dir={place}"]
            command += ["--system-config", json.dumps(QUICK_CHECKS)]
        else:
            command += ["--address", self.address]
        with open(self._log(len(self.nodes)), "wb") as log:
            node = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=self.environ, start_new_session=True
            )
        self.nodes.append(node)
        return node

    def kill(self, node: subprocess.Popen) -> None:
        """Kill a node, as in a power failure."""
        kill(node.pid, *descendants(node.pid))
        node.wait()
        if node is not self.nodes[0]:  # without its head there is no cluster
            self.nodes.remove(node)

    def end(self) -> None:
        for node in reversed(self.nodes):
            kill(node.pid, *descendants(node.pid))
            node.wait()
        self.nodes.clear()
        for place in self._places:
            shutil.rmtree(place, ignore_errors=True)
        self._places.clear()

    def _log(self, index: int) -> Path:
        return Path(self._places[-1], f"node{index}.txt")

    def _wait_for(self, node: subprocess.Popen) -> None:
        log = self._log(self.nodes.index(node))
        wait_for(lambda: "This command will now block" in log.read_text(), node)
        assert node.poll() is None, log.read_text()
        self.address = Path(self._places[-1], "ray_current_cluster").read_text().strip()
