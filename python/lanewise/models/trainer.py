"""fit and single steps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import random
from .._engine import Float32
from .._names import check_integer, keyword_checked, warn
from .advice import loss_slip, warn_of_outputs
from .base import callback_list, check_verbose
from .batches import Place, SparseBatches, batch_rows, batches_of, is_sparse
from .compiled import Compiled
from .data import Rows, split_point, unpack_validation
from .epochs import Epochs
from .predictor import Predictor, Source

if TYPE_CHECKING:
    from ..callbacks import History


class Trainer(Predictor):
    """One model trains in one thread at a time: a second `fit` raises RuntimeError."""

    stop_training = False
    history: History | None = None
    _initial_epoch: int | None = None  # where BackupAndRestore goes on
    _first_epoch = 0  # as `fit` was told
    _place = Place()  # in the epoch, where it goes on or makes its backup
    _looked: random.Noted | None = None  # what the last gradients drew, which `apply_gradients` makes a step

    # --- fit ----------------------------------------------------------------------------------------------------

    @keyword_checked
    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, verbose: Any = "auto",
        callbacks: Any = None, validation_split: float = 0.0, validation_data: Any = None, shuffle: bool = True,
        class_weight: Any = None, sample_weight: Any = None, initial_epoch: int = 0,
        steps_per_epoch: int | None = None, validation_steps: int | None = None,
        validation_batch_size: int | None = None, validation_freq: Any = 1,
    ) -> History:  # fmt: skip
        """Train for the epochs initial_epoch .. epochs - 1; weights and optimizer go on from where they are.

        What `trainable` says when it begins holds until it ends.

        Args:
            x: (n, ...) array of any real dtype, list or data frame; read in place, converted batch by batch. A SciPy
                sparse matrix: some batches at a time are made dense. A generator, a `PyDataset` or any iterable of
                (x, y) or (x, y, sample_weight): each is one step.
            y: targets, (n,) and (n, 1) alike, as are (n, t) and (n, t, 1).
            batch_size: rows a step; the last, partial batch is kept. None: 32, or as many as make `steps_per_epoch`
                batches of all rows.
            epochs: index of the last epoch; 0: none is run, as in Keras.
            verbose: 0, 1, 2 or 'auto' (1).
            callbacks: instances of `lanewise.callbacks.Callback`.
            validation_split: this share of the last rows validates, taken before any shuffle.
            validation_data: (x, y) or (x, y, sample_weight), or batches as x, instead.
            shuffle: whether each epoch takes the rows in a new order, which follows from the seed.
            class_weight: weight of each class by its number. Not together with sample_weight.
            sample_weight: (n,).
            initial_epoch: where to begin counting.
            steps_per_epoch: batches of an epoch; the next one goes on where it ended. None: all.
            validation_steps: batches to validate on, the first ones. None: all.
            validation_batch_size: batch_size; where both are None as there, of `validation_steps`.
            validation_freq: validate every so many epochs, or after those in a list, the first being 1.

        Returns:
            History: `.history` maps 'loss', 'val_loss', ... to one value an epoch.

        Raises:
            ValueError / TypeError: bad data or arguments, model not compiled; nothing has changed then.
            RuntimeError: the model is being trained already.
        """
        compiled = self._get_compiled("fit", trains=True)
        given = None if batch_size is None else check_integer("batch_size", batch_size, 1)
        epochs = check_integer("epochs", epochs, 0)
        initial_epoch = check_integer("initial_epoch", initial_epoch, 0)
        validated: Collection[int]
        if isinstance(validation_freq, list | tuple | set | range):
            validated = {check_integer("validation_freq", epoch, 1) for epoch in validation_freq}
        else:
            every = check_integer("validation_freq", validation_freq, 1)
            validated = range(every, epochs + 1, every)
        if validation_batch_size is None:
            validation_batch_size = given
        else:
            validation_batch_size = check_integer("validation_batch_size", validation_batch_size, 1)
        verbose = check_verbose(verbose)
        if steps_per_epoch is not None:
            steps_per_epoch = check_integer("steps_per_epoch", steps_per_epoch, 1)
        if validation_steps is not None:
            validation_steps = check_integer("validation_steps", validation_steps, 1)
        if not isinstance(shuffle, bool | np.bool_):
            raise TypeError(f"shuffle: expected True or False, received {shuffle!r}")
        batches = batches_of("x", x, y, sample_weight, given, steps_per_epoch)
        if batches is None:
            rows = self._rows(compiled, x, y, sample_weight, class_weight)
        else:
            rows = self._batch_rows(compiled, batches.first(), class_weight)
        validation: Rows | Source | None = None
        if validation_data is not None:
            validation = self._validation(compiled, validation_data, validation_batch_size, validation_steps, rows)
        elif validation_split and isinstance(batches, SparseBatches):
            at = split_point(validation_split, batches.rows)
            batches, validation = (
                batches.part(0, at, given, steps_per_epoch),
                batches.part(at, batches.rows, validation_batch_size, validation_steps),
            )
        elif validation_split and batches is not None:
            raise ValueError("validation_split: batches cannot be split; give validation_data=")
        elif validation_split:
            at = split_point(validation_split, rows.size)
            rows, validation = rows.part(0, at), rows.part(at, rows.size)
            if class_weight is not None:
                validation = validation._replace(weights=None)

        batch_size = batch_rows(given, rows.size, steps_per_epoch)

        from ..callbacks import CallbackList, History
        from ..progress import make_progress

        with self._weights_lock.training():
            history = History()
            steps = steps_per_epoch or (-(-rows.size // batch_size) if batches is None else batches.count)
            params = {"verbose": verbose, "epochs": epochs, "steps": steps}
            hooks = CallbackList([*callback_list(callbacks), history], self, params)
            self._ready(rows.shapes)  # which makes the weights
            settled = self._settled()
            network = self._network(compiled, rows, settled)
            progress = make_progress(verbose, epochs, steps or 1, "step")
            self.history = history
            self.stop_training = False
            warned, first = False, None
            warn_of_outputs(compiled, self._ready(rows.shapes), self._weights_lock.read, rows)
            self._initial_epoch, self._first_epoch, self._place = None, initial_epoch, Place()
            try:
                run = Epochs(
                    self, compiled, network, settled, rows, batches, batch_size, class_weight, steps_per_epoch,
                    bool(shuffle), validation, validated, validation_batch_size, validation_steps, epochs, hooks,
                    progress,
                )  # fmt: skip
                self._place.steps_after = run.steps_after
                hooks.on_train_begin(None)
                run.go_to(self._place)
                logs: dict[str, float] = {}
                for epoch in range(self._initial_epoch or initial_epoch, epochs):
                    if batches is not None and logs and not batches.has_more():
                        warn(
                            f"x: no batches are left after {epoch} epochs, training ends; a generator must go on for "
                            "all epochs",
                            RuntimeWarning,
                        )
                        break
                    hooks.on_epoch_begin(epoch, None)
                    progress.on_epoch_begin(epoch)
                    logs = run.logs(epoch)
                    if first is None:
                        first = logs["loss"]
                    if not warned and (slip := loss_slip(logs["loss"], first, epoch, rows)):
                        warned = True
                        warn(slip, RuntimeWarning)
                    hooks.on_epoch_end(epoch, seen := dict(logs))  # the callbacks' own: some add the learning rate
                    progress.on_epoch_end(seen)
                    if self.stop_training and run.told:
                        break
                run.raise_late()
                if compiled.optimizer.use_ema:
                    compiled.optimizer.finalize_variable_values(settled.weights)
                hooks.on_train_end(logs)
            finally:
                self._place = Place()
                progress.close()
        return history

    def _validation(
        self, compiled: Compiled, data: Any, batch_size: int | None, steps: int | None, rows: Rows
    ) -> Rows | Source:
        """validation_data, checked against the rows that train."""
        if not isinstance(data, tuple | list):
            batches = batches_of("validation_data", data, None, None, batch_size, steps)
            if batches is not None:
                return batches
        x, y, weights = unpack_validation(data)
        sparse = batches_of("validation x", x, y, weights, batch_size, steps) if is_sparse(x) else None
        if sparse is not None:
            return sparse
        validation = self._rows(compiled, x, y, weights, None, "validation ")
        if validation.shapes != rows.shapes:
            raise ValueError(
                f"validation x: expected rows of shape {_shown(rows.shapes)}, received {_shown(validation.shapes)}"
            )
        return validation

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One step on all rows of x as one batch.

        Returns:
            The loss, or [loss, metrics...], or a dict: of this batch alone, as in Keras 3.15.
        """
        compiled = self._get_compiled("train_on_batch", trains=True)
        rows = self._rows(compiled, x, y, sample_weight, class_weight)
        with self._weights_lock.training():
            network = self._network(compiled, rows)
            compiled.optimizer.plan_steps(1)
            compiled.forget()
            sums = self._weights_lock.write(
                network.train, rows.x, rows.y, rows.weights, None, 0, rows.size, rows.size,
                compiled.optimizer.native, self._run_seed(),
            )  # fmt: skip
        return compiled.returned(compiled.results(sums), return_dict)

    # --- gradients ----------------------------------------------------------------------------------------------

    def value_and_grad(
        self, x: Any, y: Any, sample_weight: Any = None, training: bool = True
    ) -> tuple[float, list[Float32]]:
        """(loss of all rows as one batch, its gradient for each of `trainable_weights`); changes nothing.

        With training=True dropout is as in the next training step. What layers in Python assign is put back.
        """
        from ..custom.layer import put_back

        compiled = self._get_compiled("value_and_grad", trains=True)
        rows = self._rows(compiled, x, y, sample_weight, None)
        self._ready(rows.shapes)
        settled = self._settled()  # another thread may freeze layers meanwhile
        network = self._network(compiled, rows, settled)
        step = compiled.optimizer.native.iterations
        own = list({id(w): w for leaf in self.leaves() if leaf.own for w in leaf.weights}.values())

        def found() -> Any:
            before = [(weight, weight.numpy()) for weight in own]
            with random.Noted(random.generators_of(self.leaves())) as drawn:
                result = network.value_and_grad(rows.x, rows.y, rows.weights, bool(training), seed, step)
            drawn.put_back()
            put_back(before)
            self._looked = drawn if training else self._looked
            return result

        seed = self._run_seed()

        lock = self._weights_lock  # what layers in Python assign is there until it is put back
        sums, gradients = (lock.write if any(leaf.own for leaf in self.leaves()) else lock.read)(found)
        shaped = [g.reshape(w.shape) for g, w in zip(gradients, settled.weights, strict=True)]
        return compiled.results(sums)["loss"], shaped

    def apply_gradients(self, gradients: Sequence[Any]) -> None:
        """One step of the optimizer with these gradients.

        Args:
            gradients: one for each of `trainable_weights`, or (gradient, weight) pairs in that order, as from zip.

        Raises:
            ValueError: another number of gradients, or another shape; nothing has changed then.
        """
        compiled = self._get_compiled("apply_gradients")
        weights = self.trainable_weights
        if not isinstance(gradients, Iterable):
            raise TypeError(f"gradients: expected one for each of {len(weights)} weights, received {gradients!r}")
        given = [g[0] if isinstance(g, tuple) and len(g) == 2 else g for g in gradients]
        if len(given) != len(weights):
            raise ValueError(f"gradients: expected one for each of {len(weights)} weights, received {len(given)}")
        checked = [w.checked(g).reshape(w.variable.shape) for w, g in zip(weights, given, strict=True)]
        with self._weights_lock.training():
            program = self._built_program("apply_gradients")
            network = program.network(
                compiled.loss_terms(program), trainable=[w.variable for w in weights], constraints=self._limits(),
                frozen=self._frozen(),
            )  # fmt: skip
            compiled.optimizer.build(weights, self._weights_lock)
            compiled.optimizer.plan_steps(1)
            self._weights_lock.write(network.apply_gradients, compiled.optimizer.native, checked)
            if self._looked is not None:
                self._looked.go_on()
                self._looked = None


def _shown(shapes: Sequence[tuple[int, ...]]) -> str:
    return str(shapes[0] if len(shapes) == 1 else list(shapes))
