"""What fit, evaluate and predict print, on a terminal, in a file and where the console cannot show the bar."""

import io
import re

import numpy as np
import pytest

import lanewise as lw
from lanewise import progress
from lanewise.progress import make_progress


class Screen(io.StringIO):
    """A terminal: what is left on it after the carriage returns."""

    encoding = "utf-8"

    def isatty(self):
        return True

    def lines(self):
        shown = []
        for line in self.getvalue().split("\n"):
            cells = ""
            for part in line.split("\r"):
                cells = part + cells[len(part) :]
            shown.append(cells.rstrip())
        return shown[:-1] if shown[-1] == "" else shown


class Clock:
    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(progress, "perf_counter", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def drive(out, clock, monkeypatch, verbose=1, epochs=1, steps=4, seconds=0.1, logs=None):
    """Epochs of `steps` steps; the first step takes a second more."""
    monkeypatch.setattr("sys.stdout", out)
    logs = {"loss": 0.5} if logs is None else logs
    bar = make_progress(verbose, epochs, steps, "step")
    for epoch in range(epochs):
        bar.on_epoch_begin(epoch)
        clock.now += 1.0
        for step in range(1, steps + 1):
            clock.now += seconds
            bar.update(step, logs)
        bar.on_epoch_end(logs)
    bar.close()
    return out.getvalue()


def test_terminal_keeps_one_line_an_epoch(clock, monkeypatch):
    screen = Screen()
    drive(screen, clock, monkeypatch, epochs=2)
    line = "4/4 ━━━━━━━━━━━━━━━━━━━━ 1s 100ms/step - loss: 0.5000"
    assert screen.lines() == ["Epoch 1/2", line, "Epoch 2/2", line]


def test_bar_grows_over_twenty_cells(clock, monkeypatch):
    out = drive(Screen(), clock, monkeypatch)
    bars = re.findall(r"(\d)/4 ([━─]{20}) ", out)
    assert bars == [(str(i), "━" * 5 * i + "─" * (20 - 5 * i)) for i in (1, 2, 3, 4)]


def test_one_epoch_has_no_heading(clock, monkeypatch):
    assert "Epoch" not in drive(Screen(), clock, monkeypatch)


def test_at_most_one_redraw_in_50_ms(clock, monkeypatch):
    out = drive(Screen(), clock, monkeypatch, steps=1000, seconds=0.001)
    assert 18 <= out.count("\r") <= 22  # one second of steps


def test_shrinking_lines_leave_nothing_behind(clock, monkeypatch):
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    bar = make_progress(1, 1, 2, "step")
    bar.on_epoch_begin(0)
    clock.now += 1
    bar.update(1, {"a_very_long_name": 1.0})
    bar.on_epoch_end({"b": 1.0})
    assert screen.lines()[-1].endswith("- b: 1.0000")


def test_line_on_a_narrow_terminal_does_not_wrap(clock, monkeypatch):
    monkeypatch.setattr(progress, "_columns", lambda stream: 30)
    out = drive(Screen(), clock, monkeypatch)
    redraws = out.split("\r")[1:-1]
    assert redraws and all(len(part) <= 29 for part in redraws)


def test_file_gets_one_line_an_epoch(clock, monkeypatch):
    lines = drive(io.StringIO(), clock, monkeypatch, epochs=3).splitlines()
    assert len(lines) == 3
    assert lines[1] == "Epoch 2/3 - 4/4 ━━━━━━━━━━━━━━━━━━━━ 1s 100ms/step - loss: 0.5000"


def test_verbose_2_is_a_line_without_bar(clock, monkeypatch):
    assert drive(io.StringIO(), clock, monkeypatch, verbose=2) == "4/4 - 1s - 100ms/step - loss: 0.5000\n"
    line = "4/4 - 1s - 100ms/step - loss: 0.5000"
    lines = ["Epoch 1/2", line, "Epoch 2/2", line]
    screen = Screen()
    drive(screen, clock, monkeypatch, verbose=2, epochs=2)
    assert screen.lines() == lines
    assert drive(io.StringIO(), clock, monkeypatch, verbose=2, epochs=2).splitlines() == lines  # in a file too


def test_verbose_0_prints_nothing(clock, monkeypatch):
    assert drive(io.StringIO(), clock, monkeypatch, verbose=0) == ""


@pytest.mark.parametrize(
    ("encoding", "bar", "micro"), [("utf-8", "━" * 20, "us"), ("ascii", "=" * 20, "us"), ("cp1252", "=" * 20, "us")]
)
def test_console_that_cannot_show_the_bar_gets_ascii(clock, monkeypatch, encoding, bar, micro):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding, newline=""))
    shown = make_progress(1, 1, 2, "step")
    shown.on_epoch_begin(0)
    for step in (1, 2):
        clock.now += 5e-5
        shown.update(step, {})
    shown.on_epoch_end({})
    assert raw.getvalue().decode(encoding) == f"2/2 {bar} 0s 50{micro}/step\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5000"), (-2.0, "-2.0000"), (1e-3, "1.0000e-03"), (-1e-4, "-1.0000e-04"), (0.00101, "0.0010"),
        (12345.678, "12345.6780"), (float("nan"), "nan"), (np.float32(0.25), "0.2500"), ("text", "text"),
    ],
)  # fmt: skip
def test_values(clock, monkeypatch, value, text):
    out = drive(io.StringIO(), clock, monkeypatch, logs={"v": value})
    assert out.endswith(f" - v: {text}\n")


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.0, "2s/step"), (0.25, "250ms/step"), (0.0012, "1ms/step"), (2e-5, "20us/step")]
)
def test_time_a_step_leaves_out_the_first(clock, monkeypatch, seconds, text):
    assert f" {text} " in drive(io.StringIO(), clock, monkeypatch, seconds=seconds)


def test_validation_does_not_count_as_steps(clock, monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    bar = make_progress(1, 1, 2, "step")
    bar.on_epoch_begin(0)
    for step in (1, 2):
        clock.now += 0.01
        bar.update(step, {})
    clock.now += 7.0  # validating
    bar.on_epoch_end({})
    assert "7s 10ms/step" in out.getvalue()


def test_long_times(clock, monkeypatch):
    assert " 3:21 " in drive(io.StringIO(), clock, monkeypatch, seconds=50)
    assert " 1:06:41 " in drive(io.StringIO(), clock, monkeypatch, seconds=1000)


def test_exception_ends_the_open_line(clock, monkeypatch):
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    bar = make_progress(1, 1, 10, "step")
    bar.on_epoch_begin(0)
    clock.now += 1
    bar.update(3, {})
    bar.close()
    bar.close()
    assert screen.getvalue().endswith("\n") and screen.getvalue().count("\n") == 1


def test_no_stdout_prints_nothing(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    bar = make_progress(1, 1, 1, "step")
    bar.on_epoch_begin(0)
    bar.update(1, {})
    bar.on_epoch_end({})


def test_notebook_redraws(clock, monkeypatch):
    Notebook = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})
    assert "\r" in drive(Notebook(), clock, monkeypatch)


def test_unknown_verbose():
    with pytest.raises(ValueError, match="verbose: expected 0, 1, 2 or 'auto', received 3"):
        make_progress(3, 1, 1, "step")


def test_fit_and_evaluate_print_epochs_bar_time_and_losses(capsys):
    x = np.arange(200, dtype=np.float32).reshape(100, 2) / 200
    lw.random.set_seed(1)
    model = lw.Sequential([lw.layers.Dense(1, input_shape=(2,))])
    model.compile("adam", "mean_squared_error", metrics=["mae"])
    model.fit(x, x[:, 0], epochs=2, validation_split=0.2)
    loss, _ = model.evaluate(x, x[:, 0])
    shown = re.escape(f"{loss:.4f}" if loss > 1e-3 else f"{loss:.4e}")
    lines = capsys.readouterr().out.splitlines()
    number = r"\d+\.\d{4}(e-\d\d)?"
    for i, line in enumerate(lines[:2]):
        assert re.fullmatch(
            rf"Epoch {i + 1}/2 - 3/3 ━{{20}} 0s \d+(us|ms)/step - loss: {number} - mae: {number} - "
            rf"val_loss: {number} - val_mae: {number}",
            line,
        ), line
    assert re.fullmatch(rf"4/4 ━{{20}} 0s \d+(us|ms)/step - loss: {shown} - mae: {number}", lines[2])
    assert len(lines) == 3


def test_short_predict_is_silent(capsys):
    model = lw.Sequential([lw.layers.Dense(1, input_shape=(2,))])
    model.predict(np.ones((5, 2), np.float32))
    assert capsys.readouterr().out == ""
    model.predict(np.ones((5, 2), np.float32), verbose=1)
    assert capsys.readouterr().out.startswith("1/1 ━")
