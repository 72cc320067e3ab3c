"""python -m lanewise info, python -m lanewise demo."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import lanewise as lw
from lanewise import _cli, demo
from limits import SLOWER


def has_fma():
    return lw.active_isa() != "generic"


def test_info_prints_what_build_info_says(capsys):
    assert _cli.main(["info"]) == 0
    out = capsys.readouterr().out
    info = lw.build_info()
    rows = dict(line.split(":", 1) for line in out.splitlines())
    assert rows["lanewise"].strip().startswith(info["version"])
    assert rows["ISA active"].strip() == info["isa"]
    assert rows["ISAs compiled"].strip() == ", ".join(info["isas_compiled"])
    assert rows["threads"].strip() == str(info["threads"])
    assert rows["thread runtime"].strip() == info["thread_runtime"]
    assert rows["CPU"].strip() == info["cpu"]


def run_module(*arguments, **environment):
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return subprocess.run(
        [sys.executable, "-m", "lanewise", *arguments], capture_output=True, text=True, timeout=120 * SLOWER,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )  # fmt: skip


def test_an_isa_that_is_not_there_is_one_line():
    run = run_module("info", LANEWISE_ISA="avx1024")
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("lanewise: The environment variable LANEWISE_ISA: Unknown ISA.")
    assert run.stderr.count("\n") == 1
    assert run_module("--help", LANEWISE_ISA="avx1024").stdout.startswith("usage: lanewise")


def test_module_runs_and_needs_a_command():
    assert run_module("info").returncode == 0
    nothing = run_module()
    assert nothing.returncode == 2 and "command" in nothing.stderr


@pytest.mark.parametrize("threads", ["1", "7"])
@pytest.mark.parametrize("isa", [isa for isa in lw.available_isas() if isa != "generic"])
def test_demo_has_the_expected_fingerprint_on_every_isa(isa, threads):
    done = run_module("demo", "--check", LANEWISE_ISA=isa, OMP_NUM_THREADS=threads)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert 8 <= len(lines) <= 12
    assert lines[-1] == f"fingerprint {demo.EXPECTED}"
    assert "same bits" in lines[-2]
    assert any(line.startswith("ISA") and isa in line for line in lines)
    error = float(re.search(r"^error +(\S+)", done.stdout, re.MULTILINE)[1])
    assert error < 0.01


def test_demo_says_clearly_that_it_differs(monkeypatch, capsys):
    monkeypatch.setattr(demo, "EXPECTED", "0" * 16)
    monkeypatch.setattr(demo, "_STAGES", ((1e-3, 1),))
    assert _cli.main(["demo"]) == 0
    assert "DIFFERENT BITS" in capsys.readouterr().out
    assert _cli.main(["demo", "--check"]) == 1


def test_simulator_against_a_power_series():
    """mu = 0 is the harmonic oscillator: x = cos t, v = -sin t; RK4 with h = 0.01 is good to 1e-10."""
    end = demo.simulate(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    expected = [[np.cos(1.0), -np.sin(1.0)], [np.sin(1.0), np.cos(1.0)]]
    np.testing.assert_allclose(end, expected, rtol=0, atol=1e-9)


def test_simulator_converges_with_fourth_order(monkeypatch):
    start = np.array([[1.5, -0.5, 0.8]])
    ends = []
    for steps in (50, 100, 200, 3200):
        monkeypatch.setattr(demo, "_STEPS", steps)
        ends.append(demo.simulate(start))
    errors = [np.abs(end - ends[-1]).max() for end in ends[:3]]
    assert 13 < errors[0] / errors[1] < 19 and 13 < errors[1] / errors[2] < 19


def test_step_flops_counts_the_products_of_a_step():
    assert demo.step_flops(demo.make_model()) == 2 * 64 * (3 * (3 * 64 + 64 * 64 + 64 * 2) - 3 * 64)
