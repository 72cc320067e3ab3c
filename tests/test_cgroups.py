"""The CPU quota of a process's control groups, in trees made here and in a real one where that may be made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lanewise import _core

V1_MOUNT = "32 31 0:29 {top} {place} rw,relatime shared:9 master:1 - cgroup cgroup rw,{controllers}"
V2_MOUNT = "41 31 0:38 {top} {place} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
NOISE = "22 1 253:0 / / rw - ext4 /dev/vda rw\n31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"


def v1(place: str = "/sys/fs/cgroup/cpu", top: str = "/", controllers: str = "cpu") -> str:
    return V1_MOUNT.format(place=place, top=top, controllers=controllers)


def v2(place: str = "/sys/fs/cgroup", top: str = "/") -> str:
    return V2_MOUNT.format(place=place, top=top)


def tree(root: Path, groups: str, mounts: list[str], limits: dict[str, str]) -> int:
    """What is read from a tree: /proc/self/cgroup, mountinfo, and for each folder "quota period"."""
    proc = root / "proc/self"
    proc.mkdir(parents=True)
    (proc / "cgroup").write_text(groups)
    (proc / "mountinfo").write_text(NOISE + "\n".join(mounts) + "\n")
    for folder, limit in limits.items():
        at = root / folder.lstrip("/")
        at.mkdir(parents=True, exist_ok=True)
        if any("cgroup2" in m and folder.startswith(m.split()[4].replace("\\040", " ")) for m in mounts):
            (at / "cpu.max").write_text(limit + "\n")
        else:
            quota, period = limit.split()
            (at / "cpu.cfs_quota_us").write_text(quota + "\n")
            (at / "cpu.cfs_period_us").write_text(period + "\n")
    return _core.cgroup_cpus(str(root))


ROOT1, UNIFIED = "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"
TREES: dict[str, tuple[str, list[str], dict[str, str], int]] = {
    "no control groups": ("", [], {}, 0),
    "v1: none": ("1:cpu:/\n", [v1()], {ROOT1: "-1 100000"}, 0),
    "v1: root": ("1:cpu:/\n", [v1()], {ROOT1: "250000 100000"}, 3),
    "v1: below the root": ("9:pids:/p\n1:cpu:/job\n", [v1()], {ROOT1: "-1 100000", ROOT1 + "/job": "50000 100000"}, 1),
    "v1: of the group above": (
        "1:cpu:/a/b/c\n",
        [v1()],
        {ROOT1: "-1 100000", ROOT1 + "/a": "150000 100000", ROOT1 + "/a/b": "400000 100000", ROOT1 + "/a/b/c": "-1 1"},
        2,
    ),
    "v1: with cpuacct": (
        "4:cpu,cpuacct:/a\n3:cpuset:/b\n",
        [
            v1("/sys/fs/cgroup/cpu,cpuacct", controllers="cpu,cpuacct"),
            v1("/sys/fs/cgroup/cpuset", controllers="cpuset"),
        ],
        {"/sys/fs/cgroup/cpu,cpuacct/a": "200000 100000", "/sys/fs/cgroup/cpuset/b": "100000 100000"},
        2,
    ),
    "v1: cpuacct alone is another tree": (
        "2:cpuacct:/a\n1:cpu:/b\n",
        [v1(), v1("/sys/fs/cgroup/cpuacct", controllers="cpuacct")],
        {ROOT1 + "/b": "300000 100000", ROOT1 + "/a": "100000 100000", "/sys/fs/cgroup/cpuacct/a": "100000 100000"},
        3,
    ),
    "v1: a container's own group is the top of its mount": (
        "1:cpu:/docker/0123\n",
        [v1(top="/docker/0123")],
        {ROOT1: "350000 100000"},
        4,
    ),
    "v1: a container's group, seen by the host's path": (
        "1:cpu:/docker/0123/inner\n",
        [v1(top="/docker/0123")],
        {ROOT1: "350000 100000", ROOT1 + "/inner": "100000 50000"},
        2,
    ),
    "v1: another group's mount": ("1:cpu:/docker/01\n", [v1(top="/docker/0")], {ROOT1: "100000 100000"}, 0),
    "v1: mounted elsewhere, with a blank": (
        "1:cpu:/a\n",
        [v1("/mnt/c\\040g")],
        {"/mnt/c g/a": "150000 100000"},
        2,
    ),
    "v2: max": ("0::/a\n", [v2()], {UNIFIED + "/a": "max 100000"}, 0),
    "v2: half a CPU": ("0::/a\n", [v2()], {UNIFIED + "/a": "50000 100000"}, 1),
    "v2: the least along the way": (
        "0::/a.slice/b.scope/c\n",
        [v2()],
        {
            UNIFIED + "/a.slice": "210000 100000",
            UNIFIED + "/a.slice/b.scope": "max 100000",
            UNIFIED + "/a.slice/b.scope/c": "800000 100000",
        },
        3,
    ),
    "v2: a sister's limit is not ours": ("0::/a\n", [v2()], {UNIFIED + "/ab": "100000 100000"}, 0),
    "v2: a namespace of its own": ("0::/\n", [v2()], {UNIFIED: "120000 100000"}, 2),
    "v2: mount of a group above the namespace": ("0::/\n", [v2(top="/..")], {UNIFIED: "120000 100000"}, 2),
    "v2: moved out of the namespace": ("0::/../x\n", [v2()], {UNIFIED: "120000 100000"}, 2),
    "both: the quota is in v1": (
        "1:cpu:/job\n0::/job\n",
        [v1(), v2("/sys/fs/cgroup/unified")],
        {ROOT1 + "/job": "50000 100000"},
        1,
    ),
    "both: the tighter one": (
        "1:cpu:/job\n0::/job\n",
        [v1(), v2("/sys/fs/cgroup/unified")],
        {ROOT1 + "/job": "400000 100000", "/sys/fs/cgroup/unified/job": "300000 100000"},
        3,
    ),
    "nonsense": ("::::\nx\n0:\n1:cpu:/a\n", ["- -", "1 - cgroup", v1()], {ROOT1 + "/a": "many few"}, 0),
}


@pytest.mark.parametrize("name", TREES)
def test_the_tightest_quota_on_the_way_to_the_root(name: str, tmp_path: Path) -> None:
    groups, mounts, limits, want = TREES[name]
    assert tree(tmp_path, groups, mounts, limits) == want


@contextmanager
def real_group(microseconds: int) -> Iterator[Path]:
    """A control group of this machine with a quota, and one within it that has none; skips where none may be made."""
    v1_top, v2_top = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    top = v1_top if (v1_top / "cpu.cfs_quota_us").exists() or (v1_top / "tasks").exists() else v2_top
    outer = top / f"lanewise-test-{os.getpid()}"
    inner = outer / "inner"
    try:
        outer.mkdir()
        try:
            inner.mkdir()
            if top is v1_top:
                (outer / "cpu.cfs_quota_us").write_text(str(microseconds))
            else:
                (outer / "cpu.max").write_text(f"{microseconds} 100000")
        except OSError:
            if inner.exists():
                inner.rmdir()
            outer.rmdir()
            raise
    except OSError as error:
        pytest.skip(f"no control group may be made here: {error}")
    try:
        yield inner
    finally:
        inner.rmdir()
        outer.rmdir()


def test_a_real_group_limits_the_default(tmp_path: Path) -> None:
    """Half a CPU for the group above; three halves would be two threads."""
    code = "import sys, lanewise; from lanewise import ops, _core\nprint(_core.cgroup_cpus(), ops.get_num_threads())"
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    for microseconds, cpus in ((50_000, 1), (150_000, 2)):
        with real_group(microseconds) as group:
            enter = lambda group=group: (group / "cgroup.procs").write_text(str(os.getpid()))  # noqa: E731
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
                                  env=environment, preexec_fn=enter)  # fmt: skip
        assert done.returncode == 0, done.stderr
        found, threads = map(int, done.stdout.split())
        assert found == cpus
        assert threads == min(cpus, len(os.sched_getaffinity(0)))
