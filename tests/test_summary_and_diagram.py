"""What a model looks like: the table with connections, the diagram, the curves of a history."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import lanewise as lw
from lanewise import layers


def branched() -> lw.Model:
    inner = lw.Sequential([lw.Input((8,)), layers.Dense(8, name="inside")], name="sub")
    a, b = lw.Input((4,), name="a"), lw.Input((3,), name="b")
    shared = layers.Dense(5, activation="relu", name="shared")
    joined = layers.Concatenate(name="joined")([shared(a), b])
    summed = layers.Add(name="sum")([inner(joined), joined])
    return lw.Model([a, b], [layers.Dense(1, name="o1")(summed), layers.Dense(2, name="o2")(summed)], name="net")


def lines_of(model: lw.Model, **arguments: object) -> list[str]:
    lines: list[str] = []
    model.summary(print_fn=lines.append, **arguments)
    return lines


def test_a_table_with_connections_as_keras_has_it() -> None:
    lines = lines_of(branched())
    cells = [[cell.strip() for cell in line[1:-1].split("│")] for line in lines if line.startswith("│")]
    # layer, shape, parameters and connections that Keras 3.15 prints for the same model
    assert cells == [
        ["a (InputLayer)", "(None, 4)", "0", "-"],
        ["shared (Dense)", "(None, 5)", "25", "a[0][0]"],
        ["b (InputLayer)", "(None, 3)", "0", "-"],
        ["joined (Concatenate)", "(None, 8)", "0", "shared[0][0],"], ["", "", "", "b[0][0]"],
        ["sub (Sequential)", "(None, 8)", "72", "joined[0][0]"],
        ["sum (Add)", "(None, 8)", "0", "sub[0][0],"], ["", "", "", "joined[0][0]"],
        ["o1 (Dense)", "(None, 1)", "9", "sum[0][0]"],
        ["o2 (Dense)", "(None, 2)", "18", "sum[0][0]"],
    ]  # fmt: skip
    assert lines[0] == 'Model: "net"' and lines[-3] == " Total params: 124 (496.00 B)"
    assert len({len(line) for line in lines[1:-3]}) == 1


def test_nested_layers_ranges_and_chains() -> None:
    model = branched()
    text = "\n".join(lines_of(model, expand_nested=True, show_trainable=True))
    assert re.search(r"│    └ inside +│ \(None, 8\) +│ +72 │ - +│ Y", text)
    assert [line.split()[1] for line in lines_of(model, layer_range=["joined", "sum"]) if "(None" in line] == [
        "joined", "sub", "sum",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no layer is called 'nothing'"):
        model.summary(layer_range=["nothing", "sum"])
    x = lw.Input((4,))
    assert "Connected" not in "".join(lines_of(lw.Model(x, layers.Dense(2)(layers.Dense(3)(x)))))


def test_a_diagram_is_svg_whose_boxes_lie_apart(tmp_path: Path) -> None:
    path = tmp_path / "model.svg"
    picture = lw.utils.plot_model(branched(), to_file=path, show_shapes=True, expand_nested=True)
    assert path.read_text(encoding="utf-8") == picture.svg == picture._repr_svg_()
    for rankdir in ("TB", "LR"):
        svg = lw.utils.plot_model(branched(), to_file=None, rankdir=rankdir, show_layer_activations=True).svg
        root = ElementTree.fromstring(svg)
        name = "{http://www.w3.org/2000/svg}"
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        boxes = [[float(e.attrib[k]) for k in ("x", "y", "width", "height")] for e in root.iter(f"{name}rect")
                 if "x" in e.attrib]  # fmt: skip
        assert len(boxes) == 8
        for i, (x, y, w, h) in enumerate(boxes):
            assert x >= 0 and x + w <= width and y >= 0 and y + h <= height
            for u, v, p, q in boxes[:i]:
                assert x + w <= u or u + p <= x or y + h <= v or v + q <= y
        assert len([e for e in root.iter(f"{name}path") if "marker-end" in e.attrib]) == 8
        texts = [e.text for e in root.iter(f"{name}text")]
        assert "sum (Add)" in texts and "activation: relu" in texts
    chain = lw.Sequential([layers.Dense(2, input_shape=(3,)), layers.Dense(1)])
    assert chain.layers[1].name in lw.utils.plot_model(chain, to_file=None).svg


def test_diagrams_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"to_file: diagrams are SVG.*model\.svg['\"], received .*model\.png['\"]$"):
        lw.utils.plot_model(branched(), to_file=tmp_path / "model.png")
    with pytest.raises(ValueError, match="not built"):
        lw.utils.plot_model(lw.Sequential([layers.Dense(2)]))
    with pytest.raises(ValueError, match="rankdir"):
        lw.utils.plot_model(branched(), to_file=None, rankdir="RL")
    assert not list(tmp_path.iterdir())


def test_curves_of_a_history() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    x = np.random.default_rng(1).standard_normal((40, 3)).astype(np.float32)
    model = lw.Sequential([layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(x, x[:, 0], epochs=4, verbose=0, validation_split=0.5, validation_freq=2)
    axes = history.plot()
    assert [ax.get_title() for ax in axes] == ["loss", "mae"]
    training, validation = axes[0].get_lines()
    assert list(training.get_xdata()) == [1, 2, 3, 4] and list(training.get_ydata()) == history.history["loss"]
    assert list(validation.get_xdata()) == [2, 4] and list(validation.get_ydata()) == history.history["val_loss"]
    assert len(history.plot("mae")) == 1
    pyplot.close("all")
    with pytest.raises(ValueError, match="recorded are loss, mae"):
        history.plot(["accuracy"])


def test_names_with_characters_that_xml_cannot_have(tmp_path: Path) -> None:
    model = lw.Sequential([lw.Input((2,)), layers.Dense(1, name="a\x01<b")], name="m\x02")
    picture = lw.utils.plot_model(model, to_file=tmp_path / "model.svg")
    assert "a\ufffd&lt;b" in picture.svg
    ElementTree.fromstring((tmp_path / "model.svg").read_text(encoding="utf-8"))
