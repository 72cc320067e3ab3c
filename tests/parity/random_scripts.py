"""Small Keras scripts, drawn from a seed: a model, how it is compiled, how it is fitted, what is asked of it then.

A script is text, so that a disagreement prints what to run. It finds in its namespace `k` (a library), `np`, the arrays
of `data` and of itself, `start(model)`, which gives the model the weights that it has in every library, `keep(name,
value)` for what is compared, and `Watch(epoch, batch)`, a callback that keeps all logs and stops there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ROWS, CHECKED = 61, 23  # rows that train and rows that validate: neither is a multiple of a batch


def data() -> dict[str, Any]:
    """Arrays of both sizes by name: inputs, targets of every kind, weights."""
    rng = np.random.default_rng(3)
    n = ROWS + CHECKED
    vector = rng.normal(size=(n, 5)).astype(np.float32)
    grid = rng.normal(size=(n, 3, 4)).astype(np.float32)
    words = rng.integers(0, 9, (n, 4))
    signal = vector[:, :3] + grid[:, :, 0] + 0.3 * (words[:, :3] - 4) + 0.3 * rng.normal(size=(n, 3))
    labels = signal.argmax(axis=1)
    arrays = {
        "vector": vector, "grid": grid, "words": words,
        "real1": signal[:, :1].astype(np.float32), "real3": signal.astype(np.float32),
        "count1": rng.poisson(np.exp(0.4 * signal[:, :1])).astype(np.float32),
        "bit": (signal[:, :1] > 0).astype(np.float32), "bits3": (signal > 0).astype(np.float32),
        "label": labels, "hot": np.eye(3, dtype=np.float32)[labels],
        "grid_real": grid[:, :, :2] + grid[:, :, 2:],
        "weight": rng.uniform(0.25, 2, n).astype(np.float32), "other_weight": rng.integers(0, 3, n).astype(np.float32),
    }  # fmt: skip
    return {name: (array[:ROWS], array[ROWS:]) for name, array in arrays.items()}


# target: what the output layer is, the losses and the metrics that fit it
REAL_LOSSES = ["'mse'", "'mae'", "'huber'", "'log_cosh'", "k.losses.MeanSquaredError()", "k.losses.Huber(delta=0.5)"]
REAL_METRICS = [
    "'mse'", "'mae'", "'MeanSquaredError'", "k.metrics.RootMeanSquaredError()", "k.metrics.R2Score()", "'mape'",
    "k.metrics.MeanAbsoluteError(name='far')",
]  # fmt: skip
BIT_METRICS = [
    "'accuracy'", "'acc'", "'binary_accuracy'", "k.metrics.AUC()", "k.metrics.Precision()", "'mse'",
    "k.metrics.Recall(thresholds=0.4)", "k.metrics.BinaryAccuracy(threshold=0.6)", "k.metrics.TruePositives()",
    "k.metrics.F1Score(threshold=0.5)", "'bce'", "k.metrics.BinaryCrossentropy(label_smoothing=0.1)",
]  # fmt: skip
LABEL_METRICS = [
    "'accuracy'", "'acc'", "'sparse_categorical_accuracy'", "'sparse_categorical_crossentropy'",
    "k.metrics.SparseTopKCategoricalAccuracy(k=2)", "k.metrics.SparseCategoricalAccuracy(name='right')",
]  # fmt: skip
HOT_METRICS = [
    "'accuracy'", "'categorical_accuracy'", "k.metrics.CategoricalCrossentropy()", "k.metrics.AUC(curve='PR')",
    "k.metrics.TopKCategoricalAccuracy(k=2)", "k.metrics.F1Score(average='macro')", "k.metrics.Precision()",
    "k.metrics.CategoricalAccuracy()", "'kl_divergence'",
]  # fmt: skip
SPARSE = ["'sparse_categorical_crossentropy'", "k.losses.SparseCategoricalCrossentropy()"]
TARGETS: dict[str, tuple[str, list[str], list[str]]] = {
    "real1": ("1", REAL_LOSSES, REAL_METRICS),
    "real3": ("3", REAL_LOSSES + ["'cosine_similarity'"], REAL_METRICS + ["k.metrics.CosineSimilarity()"]),
    "count1": ("1, 'softplus'", ["'poisson'", "'msle'", "k.losses.Poisson()"], REAL_METRICS + ["'poisson'"]),
    "bit": (
        "1, 'sigmoid'",
        ["'binary_crossentropy'", "k.losses.BinaryCrossentropy(label_smoothing=0.1)", "'mse'",
         "k.losses.BinaryFocalCrossentropy(apply_class_balancing=True)"],
        BIT_METRICS,
    ),
    "bits3": (
        "3, 'sigmoid'",
        ["'binary_crossentropy'", "k.losses.BinaryCrossentropy()"],
        [*BIT_METRICS[:7], "'bce'", "k.metrics.BinaryCrossentropy(label_smoothing=0.1)"],
    ),
    "label": ("3, 'softmax'", SPARSE, LABEL_METRICS),
    "hot": (
        "3, 'softmax'",
        ["'categorical_crossentropy'", "k.losses.CategoricalCrossentropy(label_smoothing=0.1)", "'kl_divergence'",
         "k.losses.CategoricalFocalCrossentropy()", "'mse'"],
        HOT_METRICS,
    ),
    "grid_real": ("2", REAL_LOSSES, REAL_METRICS[:4] + REAL_METRICS[5:]),
}  # fmt: skip

OPTIMIZERS = [
    "'adam'", "'sgd'", "'rmsprop'", "'adagrad'", "k.optimizers.Adam(0.01)", "k.optimizers.SGD(0.05, momentum=0.5)",
    "k.optimizers.SGD(0.05, nesterov=True, momentum=0.5, clipnorm=0.5)", "k.optimizers.AdamW(0.01, weight_decay=0.02)",
    "k.optimizers.Adam(0.01, global_clipnorm=0.3)", "k.optimizers.SGD(0.1, clipvalue=0.02)",
    "k.optimizers.Nadam(0.005)", "k.optimizers.Adamax(0.01)", "k.optimizers.RMSprop(0.002, centered=True)",
    "k.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.7)", "k.optimizers.Ftrl(0.02)",
    "k.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=5)",
    "k.optimizers.SGD(k.optimizers.schedules.ExponentialDecay(0.1, 5, 0.8))", "k.optimizers.Adadelta(0.5)",
    "k.optimizers.Adam(k.optimizers.schedules.CosineDecay(0.01, 20))", "k.optimizers.SGD(0.05, weight_decay=0.05)",
    "k.optimizers.SGD(0.1, gradient_accumulation_steps=3)",
]  # fmt: skip

ACTIVATIONS = ["'relu'", "'tanh'", "'sigmoid'", "'elu'", "'selu'", "'gelu'", "'swish'", "'softplus'", "None"]
# No 'l1' of a bias, which begins at 0: there its slope is 0 here, on TensorFlow and on PyTorch, but 1 on JAX.
EXTRAS = [
    "kernel_regularizer='l2'", "kernel_regularizer=k.regularizers.L1L2(0.001, 0.01)", "bias_regularizer='l2'",
    "activity_regularizer=k.regularizers.L2(0.01)", "activity_regularizer='l1'", "use_bias=False",
    "kernel_constraint=k.constraints.MaxNorm(1.0)", "kernel_constraint='non_neg'", "trainable=False",
    "bias_initializer='ones'", "kernel_constraint=k.constraints.UnitNorm()",
]  # fmt: skip


class Writer:
    """Draws a script from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.lines: list[str] = []
        self.text = ""

    def one(self, options: Any) -> Any:
        return options[self.rng.integers(len(options))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def some(self, options: list[str], most: int) -> list[str]:
        count = int(self.rng.integers(0, most + 1))
        return [options[i] for i in self.rng.permutation(len(options))[:count]]

    # --- the model ----------------------------------------------------------------------------------------------

    def dense(self, units: int) -> str:
        extra = [self.one(EXTRAS)] if self.chance(0.35) else []
        return f"k.layers.Dense({', '.join([str(units), self.one(ACTIVATIONS), *extra])})"

    def hidden(self) -> list[str]:
        """Up to three layers. No bias before a batch normalization: its gradient is rounding alone."""
        layers: list[str] = []
        for _ in range(int(self.rng.integers(0, 3))):
            units = int(self.rng.integers(2, 8))
            kind = self.rng.random()
            if kind < 0.2:
                layers += [f"k.layers.Dense({units}, use_bias=False)", self.one([
                    "k.layers.BatchNormalization(momentum=0.9)", "k.layers.BatchNormalization(center=False)",
                    "k.layers.BatchNormalization(momentum=0.5, trainable=False)"])]  # fmt: skip
                layers.append(f"k.layers.Activation({self.one(ACTIVATIONS[:6])})")
            elif kind < 0.3:
                layers += [self.dense(units + 2), "k.layers.LayerNormalization()"]
            elif kind < 0.4:
                layers += [self.dense(units), self.one([
                    "k.layers.Rescaling(0.5, 0.1)", "k.layers.Dropout(0.0)", "k.layers.LeakyReLU()",
                    "k.layers.PReLU()", "k.layers.UnitNormalization()"])]  # fmt: skip
            else:
                layers.append(self.dense(units))
        return layers

    def stem(self, source: str, flat: bool) -> list[str]:
        if source == "vector":
            return []
        first = ["k.layers.Embedding(9, 3)"] if source == "words" else [self.dense(3)]
        if not flat:
            return first
        return [*first, self.one(["k.layers.Flatten()", "k.layers.GlobalAveragePooling1D()"])]

    def sequential(self) -> None:
        source = self.one(["vector", "vector", "words", "grid"])
        grid = source == "grid" and self.chance(0.5)
        names = [t for t in TARGETS if t.startswith("grid") == grid]
        self.sources, self.targets, self.names = [source], [self.one(names)], ["out"]
        layers = [*self.stem(source, not grid), *self.hidden(), self.head(0)]
        shape = {"vector": "(5,)", "words": "(4,)", "grid": "(3, 4)"}[source]
        if self.chance(0.7):
            layers.insert(0, f"k.Input({shape})")
        self.keyed = False
        self.write(f"model = k.Sequential([{', '.join(layers)}])")
        if not layers[0].startswith("k.Input"):
            self.write(f"model.build((None, *{shape}))")

    def head(self, at: int) -> str:
        extra = ", kernel_regularizer='l2'" if self.chance(0.1) else ""
        return f"k.layers.Dense({TARGETS[self.targets[at]][0]}{extra}, name={self.names[at]!r})"

    def functional(self) -> None:
        self.sources = [s for s in ("vector", "words", "grid") if self.chance(0.6)] or ["vector"]
        outputs = self.one([1, 2, 2, 3])
        self.names = [["out"], ["left", "a_right"], ["one", "two", "three"]][outputs - 1]
        self.targets = [self.one([t for t in TARGETS if not t.startswith("grid")]) for _ in range(outputs)]
        branches = []
        for source in self.sources:
            shape = {"vector": "(5,)", "words": "(4,)", "grid": "(3, 4)"}[source]
            self.write(f"{source}_in = k.Input({shape}, name={source!r})")
            self.write(f"h_{source} = {self.chain([*self.stem(source, True), *self.hidden()], source + '_in')}")
            branches.append(f"h_{source}")
        joined = branches[0] if len(branches) == 1 else f"k.layers.Concatenate()([{', '.join(branches)}])"
        self.write(f"h = {joined}")
        if self.chance(0.4):
            self.write(f"wide = {self.dense(4)}(h)")
            merge = self.one(["Add", "Multiply", "Average", "Maximum", "Subtract"])
            self.write(f"h = k.layers.{merge}()([wide, {self.dense(4)}(wide)])")
        if self.chance(0.3):
            inner = f"k.Sequential([{', '.join([self.dense(4), self.dense(3)])}], name='inner')"
            self.write(f"inner = {inner}")
            self.write("h = inner(h)")
        for at, name in enumerate(self.names):
            self.write(f"{name} = {self.chain([*self.hidden(), self.head(at)], 'h')}")
        self.keyed = outputs > 1 and self.chance(0.25)
        inputs = self.packed([f"{s}_in" for s in self.sources], self.sources, ["list"])
        made = self.packed(self.names, self.names, ["dict" if self.keyed else "list"])
        self.write(f"model = k.Model({inputs}, {made})")

    def chain(self, layers: list[str], value: str) -> str:
        for layer in layers:
            value = f"{layer}({value})"
        return value

    def packed(self, values: list[str], keys: list[str], forms: list[str]) -> str:
        """Values as one, a list, a tuple or a dict."""
        form = self.one(forms)
        if form == "dict":
            order = list(range(len(values)))
            if self.chance(0.3):
                order.reverse()
            return "{" + ", ".join(f"{keys[i]!r}: {values[i]}" for i in order) + "}"
        if len(values) == 1:
            return values[0]
        joined = ", ".join(values)
        return f"({joined})" if form == "tuple" else f"[{joined}]"

    # --- compile ------------------------------------------------------------------------------------------------

    def metrics(self, at: int) -> list[str]:
        """Those of an output. Keras gives (n,) beside (n, 1) to some as they are: they raise, or take all pairs."""
        pairs = ("F1Score", "BinaryCrossentropy", "bce", "poisson")
        flat = self.shapes[at] and self.targets[at] in ("real1", "count1", "bit")
        return [name for name in TARGETS[self.targets[at]][2] if not flat or not any(p in name for p in pairs)]

    def compile(self) -> None:
        several = len(self.names) > 1
        losses = [self.one(TARGETS[t][1]) for t in self.targets]
        unjudged = several and not self.keyed and self.chance(0.12)
        if unjudged:
            losses[int(self.rng.integers(len(losses)))] = "None"
        self.judged = [at for at, loss in enumerate(losses) if loss != "None"]
        forms = ["dict"] if self.keyed else ["list"] if unjudged else ["list", "list", "dict"]
        arguments = [f"optimizer={self.one(OPTIMIZERS)}"]
        loss = self.packed(losses, self.names, forms if several else ["list"])
        arguments.append(f"loss={loss}")
        if several and not unjudged and self.chance(0.5):
            values = [str(self.one([0.5, 1.0, 2.0, 0.25])) for _ in losses]
            arguments.append(
                f"loss_weights={self.packed(values, self.names, ['dict' if loss.startswith('{') else 'list'])}"
            )
        for argument, share in (("metrics", 0.8), ("weighted_metrics", 0.4)):
            # Keras keeps the metrics of before where none are given
            if self.chance(share) or (argument == "metrics" and "compile(" in self.text):
                chosen = [self.some(self.metrics(at), 3) if at in self.judged else [] for at in range(len(losses))]
                lists = [f"[{', '.join(names)}]" for names in chosen]
                forms = ["dict"] if self.keyed else ["list", "dict"]
                arguments.append(f"{argument}={self.packed(lists, self.names, forms if several else ['list'])}")
        self.write(f"model.compile({', '.join(arguments)})")

    # --- data ---------------------------------------------------------------------------------------------------

    def rows(self, part: int, source: bool = False) -> tuple[str, str]:
        """(x, y) as text."""
        x = [f"{s}[{part}]" for s in self.sources]
        y = []
        for at, target in enumerate(self.targets):
            shown = f"{target}[{part}]"
            if target in ("real1", "count1", "bit") and self.shapes[at]:
                shown += "[:, 0]"
            if target == "label" and self.shapes[at]:
                shown += "[:, None]"
            if target in ("bit", "bits3") and self.types[at]:
                shown += f".astype({self.types[at]!r})"
            y.append(shown)
        x_form = "list" if len(x) == 1 or not self.x_keyed else "dict"
        if self.x_type and x_form == "list" and len(x) == 1 and self.sources[0] != "words":
            x = [f"{x[0]}.astype({self.x_type!r})"]
        return self.packed(x, self.sources, [x_form]), self.packed(y, self.names, [self.form()])

    def form(self) -> str:
        """How targets come, and weights beside them."""
        if len(self.targets) == 1 or len(self.judged) < len(self.targets):
            return "list"
        return "dict" if self.keyed else self.y_form

    def weights(self, part: int, share: float = 0.4) -> str | None:
        if not self.chance(share) or (self.form() == "dict" and not self.keyed) or self.targets[0] == "grid_real":
            # Keras finds no weights for targets in a dict where the outputs are a list (KeyError), and does not
            # spread one weight of a sample over its rows; lanewise takes no weights for these.
            return None
        if len(self.names) == 1 or self.chance(0.4):
            return f"{self.one(['weight', 'other_weight'])}[{part}]"
        values = [f"{self.one(['weight', 'other_weight'])}[{part}]" for _ in self.names]
        return self.packed(values, self.names, [self.form()])

    # --- fit ----------------------------------------------------------------------------------------------------

    def callbacks(self, validated: bool) -> str:
        found = []
        monitor = self.one(["val_loss", "loss"]) if validated else "loss"
        if self.chance(0.25):
            restore, least = self.one(["True", "False"]), self.one([0, 0.01, 0.1])
            found.append(
                f"k.callbacks.EarlyStopping({monitor!r}, patience={self.one([0, 1, 2])}, min_delta={least}, "
                f"restore_best_weights={restore})"
            )
        if self.chance(0.2) and "schedules" not in self.text:
            found.append(f"k.callbacks.ReduceLROnPlateau({monitor!r}, patience=1, factor=0.5, min_delta=0.05)")
        elif self.chance(0.2) and "schedules" not in self.text:
            found.append(self.one([
                "k.callbacks.LearningRateScheduler(lambda epoch: 0.02 / (1 + epoch))",
                "k.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.7)"]))  # fmt: skip
        at = self.one([(-1, -1)] * 6 + [(1, -1), (0, 1), (1, 0)])
        found.append(f"Watch{at}")
        return f"[{', '.join(found)}]"

    def fit(self, first: bool) -> None:
        batch = self.one([None, 7, 16, 20, 61, 100])
        epochs = int(self.rng.integers(1, 6))
        arguments = []
        x, y = self.rows(0)
        kind = self.rng.random()
        weights = None
        if kind < 0.12:
            method = self.one(["list", "iter", "dataset"])
            weights = self.weights(0)
            size = batch or 16
            inside = ", ".join([x, y, *([weights] if weights else [])])
            arguments.append(f"{method}_of({size}, {inside})")
            steps = -(-ROWS // size)
            if method == "iter":
                arguments.append(f"steps_per_epoch={int(self.rng.integers(1, steps + 2))}")
            arranged = True
        else:
            arranged = False
            arguments += [x, y]
            if batch is not None:
                arguments.append(f"batch_size={batch}")
            weights = self.weights(0)
            if weights:
                arguments.append(f"sample_weight={weights}")
            if self.chance(0.2):
                arguments.append(f"steps_per_epoch={int(self.rng.integers(1, 1 + -(-ROWS // (batch or 32))))}")
        target = self.targets[0]
        plain = not weights and len(self.names) == 1 and "iter_of" not in arguments[0]
        if plain and target in ("bit", "label", "hot") and self.chance(0.5):
            arguments.append(
                "class_weight={0: 0.5, 1: 2.0}" if target == "bit" else "class_weight={0: 1, 1: 2, 2: 0.5}"
            )
        validated = True
        kind = self.rng.random()
        if kind < 0.35:
            vx, vy = self.rows(1)
            vw = self.weights(1, 0.3)
            arguments.append(f"validation_data=({vx}, {vy}{', ' + vw if vw else ''})")
        elif kind < 0.6 and not arranged:
            arguments.append(f"validation_split={self.one([0.2, 0.33, 0.5])}")
        else:
            validated = False
        if validated:
            if self.chance(0.25):
                arguments.append(f"validation_batch_size={self.one([3, 10, 50])}")
            if self.chance(0.25):
                arguments.append(f"validation_steps={self.one([1, 2])}")
            if self.chance(0.3):
                arguments.append(f"validation_freq={self.one([2, 3, [1, 3], [2]])}")
        begin = 0 if first or self.chance(0.5) else int(self.rng.integers(1, 4))
        if begin:
            arguments.append(f"initial_epoch={begin}")
        arguments.append(f"epochs={begin + epochs}")
        called = f"fit({', '.join([*arguments, f'callbacks={self.callbacks(validated)}'])})"
        self.write(f"keep('history', model.{called[:-1]}, shuffle=False, verbose=0))")

    def ask(self) -> None:
        """What is done with a fitted model."""
        x, y = self.rows(1)
        weights = self.weights(1)
        given = f"{x}, {y}" + (f", sample_weight={weights}" if weights else "")
        for act in self.some(["evaluate", "steps", "dict", "train", "test", "predict", "rate", "frozen"], 4):
            if act in ("evaluate", "dict", "steps"):
                extra = {"evaluate": "", "dict": ", return_dict=True", "steps": ", steps=2"}[act]
                size = self.one(["", ", batch_size=5", ", batch_size=9"])
                self.write(
                    f"keep('evaluate', model.evaluate({given}{size}{extra}, callbacks=[Watch(-1, -1)], verbose=0))"
                )
            elif act in ("train", "test"):
                for _ in range(2):
                    self.write(f"keep('{act}', model.{act}_on_batch({given}))")
            elif act == "predict":
                self.write(f"keep('predict', model.predict({x}, batch_size=10, verbose=0))")
            elif act == "rate" and "schedules" not in self.text:
                self.write("model.optimizer.learning_rate = 0.003")
            elif act == "frozen" and self.text.count("k.layers.Dense") > 2:
                self.write(f"model.layers[{self.one([-1, 1])}].trainable = False")
                self.compile()

    def write(self, line: str) -> None:
        self.lines.append(line)
        self.text += line + "\n"

    def script(self) -> str:
        self.sequential() if self.chance(0.45) else self.functional()
        several = len(self.targets)
        self.shapes = [self.chance(0.5) for _ in range(several)]
        self.types = [self.one([None, "int32", "bool", "float64", "uint8"]) for _ in range(several)]
        self.x_keyed = self.chance(0.3)
        self.x_type = self.one([None, None, "float64", "float16"])
        self.y_form = self.one(["list", "list", "dict", "tuple"])
        self.write("start(model)")
        self.compile()
        self.fit(True)
        self.ask()
        if self.chance(0.6):
            self.fit(False)
            self.ask()
        x, y = self.rows(1)
        self.write(f"keep('evaluate', model.evaluate({x}, {y}, verbose=0, return_dict=True))")
        self.write(f"keep('predict', model.predict({x}, verbose=0))")
        self.write("keep('names', [w.path.split('/')[-1] for w in model.weights])")
        self.write("keep('iterations', int(np.asarray(model.optimizer.iterations)))")
        return self.text


def script(seed: int) -> str:
    """The script of this seed."""
    return Writer(seed).script()
