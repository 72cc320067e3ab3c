"""predict, evaluate and the call: what a model does with data without changing."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _engine
from .._engine import Array, Network
from .._names import check_integer, keyword_checked
from .._operators import TracedBase
from .._structure import Trained, flatten, map_leaves, pack
from ..layers.operation import Operation, is_symbolic, tracing
from .advice import warn_of_overflow
from .base import BaseModel, callback_list, check_verbose, sorted_logs
from .batches import Batches, Pace, Raw, SparseBatches, batch_rows, batches_of, slices
from .compiled import Compiled
from .data import Rows

if TYPE_CHECKING:
    from ..callbacks import CallbackList

Source = Batches | SparseBatches

_QUIET_SECONDS = 0.5  # how long predict(verbose='auto') stays silent


class Predictor(BaseModel):
    """Evaluating and predicting run in any number of threads, between two slices of training."""

    within_epoch = False
    """Whether a callback runs between two batches of an epoch."""

    # --- evaluate -----------------------------------------------------------------------------------------------

    @keyword_checked
    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: Any = "auto",
        sample_weight: Any = None, steps: int | None = None, callbacks: Any = None, return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """Loss and metrics over all rows, dropout off; arguments as `fit`, steps: the first batches only.

        Returns:
            The loss, or [loss, metrics in compile order], or with return_dict=True a dict, sorted by name.
        """
        compiled = self._get_compiled("evaluate")
        if batch_size is not None:
            batch_size = check_integer("batch_size", batch_size, 1)
        verbose = check_verbose(verbose)
        if steps is not None:
            steps = check_integer("steps", steps, 1)
        batches = batches_of("x", x, y, sample_weight, batch_size, steps)
        if batches is None:
            data: Rows | Source = self._rows(compiled, x, y, sample_weight, None)
        else:
            data = batches
        rows = data if isinstance(data, Rows) else self._batch_rows(compiled, data.first(), None)

        from ..callbacks import CallbackList
        from ..progress import make_progress

        count = steps or (-(-rows.size // (batch_size or 32)) if batches is None else batches.count)
        hooks = CallbackList(callback_list(callbacks), self, {"verbose": verbose, "epochs": 1, "steps": count})
        network = self._network(compiled, rows)
        progress = make_progress(verbose, 1, count or 1, "step")
        try:
            progress.on_epoch_begin(0)
            with compiled.apart(self.within_epoch):
                results = self._evaluate(compiled, network, data, batch_size, hooks, progress, steps)
            progress.on_epoch_end(sorted_logs(results))
        finally:
            progress.close()
        return compiled.returned(results, return_dict)

    def _batch_rows(self, compiled: Compiled, raw: Raw, class_weight: Any) -> Rows:
        """A batch as rows; class weights do not count beside weights that came with it."""
        return self._rows(compiled, raw.x, raw.y, raw.weights, class_weight)

    def _evaluate_batches(
        self, compiled: Compiled, batches: Source, hooks: CallbackList, progress: Any, steps: int | None
    ) -> dict[str, float]:
        hooks.on_test_begin(None)
        sums, done = compiled.begin(), 0
        results: dict[str, float] = {}
        batches.begin_again()
        for raw in batches.epoch(steps, 0, 0, False):
            rows = self._batch_rows(compiled, raw, None)
            network, words = self._network(compiled, rows), self._words()
            batch_size = raw.batch or rows.size
            unit = batch_size if hooks.needs_test_batches else rows.size
            for start in range(0, rows.size, unit):
                stop = min(start + unit, rows.size)
                if hooks.needs_test_batches:
                    hooks.on_test_batch_begin(done, None)
                sums += self._weights_lock.read(
                    network.evaluate, rows.x, rows.y, rows.weights, start, stop, batch_size, *words
                )  # fmt: skip
                done += -(-(stop - start) // batch_size)
                results = compiled.results(sums)
                if hooks.needs_test_batches:
                    hooks.on_test_batch_end(done - 1, sorted_logs(results))
                if progress is not None:
                    progress.update(done, results)
        hooks.on_test_end(sorted_logs(results))
        return results

    def _evaluate(
        self, compiled: Compiled, network: Network, rows: Rows | Source, batch_size: int | None, hooks: CallbackList,
        progress: Any, steps: int | None = None,
    ) -> dict[str, float]:  # fmt: skip
        if not isinstance(rows, Rows):
            return self._evaluate_batches(compiled, rows, hooks, progress, steps)
        batch_size = batch_rows(batch_size, rows.size, steps)
        if steps is not None:
            rows = rows.part(0, steps * batch_size)
        hooks.on_test_begin(None)
        sums, words = compiled.begin(), self._words()
        each = hooks.needs_test_batches
        pace = self._paces.setdefault(("evaluate", batch_size), Pace(8))
        for start, stop in slices(rows.size, batch_size, pace, each):
            if each:
                hooks.on_test_batch_begin(start // batch_size, None)
            sums += self._weights_lock.read(
                network.evaluate, rows.x, rows.y, rows.weights, start, stop, batch_size, *words, order=rows.order
            )  # fmt: skip
            results = compiled.results(sums)
            if each:
                hooks.on_test_batch_end(start // batch_size, sorted_logs(results))
            if progress is not None:
                progress.update(-(-stop // batch_size), results)
        hooks.on_test_end(sorted_logs(results))
        return results

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss and metrics of all rows of x as one batch; returns as `train_on_batch`."""
        compiled = self._get_compiled("test_on_batch")
        rows = self._rows(compiled, x, y, sample_weight, None)
        network = self._network(compiled, rows)
        with compiled.apart(self.within_epoch):
            compiled.forget()
            sums = self._weights_lock.read(network.evaluate, rows.x, rows.y, rows.weights, 0, rows.size, rows.size,
                                           *self._words())  # fmt: skip
            results = compiled.results(sums)
        return compiled.returned(results, return_dict)

    # --- predict ------------------------------------------------------------------------------------------------

    @keyword_checked
    def predict(
        self, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:  # fmt: skip
        """The output for each row, (n, ...) float32, dropout off. Rows do not depend on the batch they are in.

        With several outputs a list or a dict of such arrays, as the model was made.

        Args:
            x: as in `fit`.
            batch_size: 32; only counts the steps that are shown.
            verbose: 0, 1, 2 or 'auto' (1 once it takes longer than half a second).
            steps: the first batches only.
            callbacks: their on_predict_... hooks are called; those for batches cost a run batch by batch.

        Warns:
            RuntimeWarning: results are not finite and x has finite numbers beyond the range of float32. Of NaN and
                infinity that were given, and of sums that overflow, nothing is said.
        """
        if batch_size is not None:
            batch_size = check_integer("batch_size", batch_size, 1)
        check_verbose(verbose)
        if steps is not None:
            steps = check_integer("steps", steps, 1)
        if steps is None and callbacks is None and verbose in (0, "auto") and (few := self._predict_few(x)) is not None:
            return few
        batches = batches_of("x", x, None, None, batch_size, steps)
        if batches is not None:
            parts = [self.predict(raw.x, batch_size, 0) for raw in batches.epoch(steps, 0, 0, False)]
            each_output = zip(*map(flatten, parts), strict=True)
            return pack(parts[0], [np.concatenate(outputs) for outputs in each_output])
        arrays, _ = self._fit_inputs("x", x)
        batch_size = batch_rows(batch_size, len(arrays[0]), steps)
        if steps is not None:
            arrays = [array[: steps * batch_size] for array in arrays]

        program = self._ready([array.shape[1:] for array in arrays])
        network = program.predictor()
        rows, words = len(arrays[0]), self._words()
        out = _engine.empty_outputs(program, rows)
        count = -(-rows // batch_size)
        hooks = None
        if callbacks is not None:
            from ..callbacks import CallbackList

            hooks = CallbackList(callback_list(callbacks), self, {"verbose": verbose, "epochs": 1, "steps": count})
            hooks.on_predict_begin(None)
        each = hooks is not None and hooks.needs_predict_batches
        unit = batch_size if each else _engine.PREDICT_ROWS
        progress: Any = None
        quiet_until = perf_counter() + _QUIET_SECONDS if verbose == "auto" else 0.0
        pace = self._paces.setdefault(("predict", unit), Pace(4))
        try:
            for start, stop in slices(rows, unit, pace, each):
                if hooks is not None and each:
                    hooks.on_predict_batch_begin(start // unit, None)
                    words = self._words()  # the engine's count on in multiples of PREDICT_ROWS
                self._weights_lock.read(network.predict, arrays, start, stop, out, *words)
                if hooks is not None and each:
                    hooks.on_predict_batch_end(start // unit, {"outputs": self._packed([o[start:stop] for o in out])})
                if progress is None and verbose and perf_counter() >= quiet_until:
                    from ..progress import make_progress

                    progress = make_progress(check_verbose(verbose), 1, count, "step")
                    progress.on_epoch_begin(0)
                if progress is not None:
                    progress.update(-(-stop // batch_size), {})
            if progress is not None:
                progress.on_epoch_end({})
        finally:
            if progress is not None:
                progress.close()
        if hooks is not None:
            hooks.on_predict_end(None)
        warn_of_overflow(arrays, out)
        packed, made = self._packed(out), self._made
        if self._few is None and packed is out[0] and made is not None and made[1] is program:
            few = program.few(self._weights_lock)
            self._few = None if few is None else (made[0], few)
        return packed

    def predict_on_batch(self, x: Any) -> Any:
        """`predict` without progress."""
        few = self._predict_few(x)
        return self.predict(x, verbose=0) if few is None else few

    def _predict_few(self, x: Any, returns: type[Any] = np.ndarray) -> Any:
        """The predictions, where nothing is to be checked or converted and it is too short to be interrupted."""
        few = self._few
        return None if few is None or few[0] != Trained.layouts else few[1](x, returns)

    def _inside(self, x: Any, training: bool) -> Any:
        """The output for traced arrays, in the call of a layer written in Python.

        Call by call where layers inside are written in Python too: for a gradient the engine runs its part once more.
        """
        from ..custom.layer import engine_call

        entries = flatten(x)
        shapes = [(None, *entry.shape[1:]) for entry in entries]
        self.build_for(shapes)
        leaves = self.leaves()
        own = any(leaf.own for leaf in leaves)
        if len(self.shapes_for(shapes)) > 1 or (own and any(leaf.makes_mask for leaf in leaves)):
            raise NotImplementedError(
                f"{self.name}: a model inside a layer of your own gives one array, and no mask to layers of your own; "
                "call its layers one by one"
            )
        if own:
            return self.run_calls(entries, training)[0]
        frozen = [weight for leaf in leaves for weight in leaf.frozen]
        ids = any(leaf.reads_ids for leaf in leaves)
        return engine_call(lambda b, values: self.write_all(b, values)[0], entries, self.weights, training, frozen, ids)

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """The output for all rows as an ndarray with `.numpy()`; with training=True dropout is on.

        On a symbolic tensor it is a layer of another model; with training=False it stays as when predicting there.
        """
        training = tracing.training if training is None else training
        if not training and (few := self._predict_few(x, Array)) is not None:
            return few
        if is_symbolic(x):
            return self.call_on(x, training)
        if tracing.training is not None and any(isinstance(entry, TracedBase) for entry in flatten(x)):
            return self._inside(x, bool(training))
        if isinstance(x, Operation):
            raise TypeError(f"{self.name}: called on a layer; call it on what the layer returns: model(layer(x))")
        if not training:
            return map_leaves(lambda array: array.view(Array), self.predict(x, verbose=0))
        arrays, _ = self._fit_inputs("x", x)
        network = self._ready([array.shape[1:] for array in arrays]).network(frozen=self._frozen())
        self._calls += 1
        # batch norms move their statistics, as in Keras
        out = self._weights_lock.write(network.call, arrays, True, self._run_seed() ^ (1 << 63), self._calls)
        return self._packed([array.view(Array) for array in out])

    call = __call__
