"""What TensorFlow and Keras have and lanewise does not, and what to use instead: a closed table.

`module.Conv2D` raises AttributeError and `from module import Conv2D` raises ImportError, both with the same text.
"""

from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

_DENSE = (
    "lanewise computes dense networks, without convolutions, recurrence or attention; its layers are Dense, Activation,"
    " Embedding, normalisation, dropout and the others of lanewise.layers"
)
_SEQUENTIAL = "use lanewise.Sequential([...]) or lanewise.Model(inputs, outputs)"
_GRADIENTS = "use model.value_and_grad(x, y) and model.apply_gradients(gradients)"
_ARRAYS = "NumPy arrays go in and come out: use the NumPy function"
_DATA = "fit takes arrays (read in place, memory-mapped too), or a generator, a PyDataset, any iterable of batches"
_PREPARE = "prepare arrays with NumPy or scikit-learn, or put lanewise.layers.Normalization in the model"
_LOG = "write logs from a lanewise.callbacks.LambdaCallback(on_epoch_end=...), or read the History that fit returns"
_OPTIMIZER = "see lanewise.optimizers for those that exist: Adam, AdamW, SGD and others"
_ACTIVATION = "activations are relu, elu, gelu, silu, softmax and the others of lanewise.activations"
_LOSS = "see lanewise.losses and lanewise.metrics for those that exist"
_WRAPPER = "build, fit and predict with lanewise.Sequential inside a scikit-learn estimator class of your own"


def _each(names: str, text: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), text)


_INSTEAD: dict[str, str] = {
    **_each("Conv1D Conv2D Conv3D Conv2DTranspose Convolution2D DepthwiseConv2D SeparableConv2D", _DENSE),
    **_each("MaxPooling1D MaxPooling2D MaxPool2D AveragePooling2D UpSampling2D", _DENSE),
    **_each("GlobalAveragePooling2D GlobalMaxPooling2D ZeroPadding2D Cropping2D", _DENSE),
    **_each("LSTM GRU SimpleRNN RNN Bidirectional TimeDistributed ConvLSTM2D LSTMCell GRUCell", _DENSE),
    **_each("Attention MultiHeadAttention Lambda", _DENSE),
    **_each("SpatialDropout1D SpatialDropout2D TextVectorization", _DENSE),
    **_each("GradientTape gradients", _GRADIENTS),
    **_each("data Dataset TFRecordDataset image_dataset_from_directory timeseries_dataset_from_array", _DATA),
    "function": "a Python function needs no compiling; remove @tf.function, fit and predict run in compiled code",
    **_each("Tensor Variable TensorArray string numpy_function py_function while_loop cond map_fn", _ARRAYS),
    **_each("Session compat global_variables_initializer placeholder reset_default_graph", "there are no sessions: "
            "models run at once"),
    **_each("distribute tpu", "everything runs on this CPU's cores; see lanewise.set_num_threads"),
    "debugging": "lanewise.build_info() says what runs; there is never a GPU",
    **_each("train io saved_model lite", "save with model.save(path), read with lanewise.load_model(path)"),
    **_each("estimator feature_column", _SEQUENTIAL),
    "summary": _LOG,
    **_each("RemoteMonitor OrbaxCheckpoint", _LOG),
    **_each("OrthogonalRegularizer orthogonal_regularizer", "regularizers are L1, L2 and L1L2; the Orthogonal "
            "initializer makes orthogonal weights"),
    **_each("Lamb Adafactor Muon ScheduleFreeAdamW LossScaleOptimizer MultiOptimizer OptimizerMap", _OPTIMIZER),
    **_each("hard_shrink soft_shrink tanh_shrink threshold squareplus sparse_plus sparsemax glu", _ACTIVATION),
    **_each("dropout conv2d embedding_lookup softmax_cross_entropy_with_logits", _ACTIVATION),
    **_each("ConfusionMatrix PearsonCorrelation ConcordanceCorrelation MeanMetricWrapper LossFunctionWrapper", _LOSS),
    **_each("CTC Dice Tversky Circle ctc dice tversky circle", _LOSS),
    **_each("text image_dataset ImageDataGenerator Tokenizer image", _PREPARE),
    "applications": "lanewise has no pretrained models",
    "wrappers": _WRAPPER,
    **_each("KerasClassifier KerasRegressor", _WRAPPER),
    **_each("mixed_precision set_global_policy", "layers compute in float32"),
    "model_to_dot": "lanewise.utils.plot_model(model, to_file='model.svg') draws the layers",
    "Progbar": "fit, evaluate and predict show their progress with verbose=1",
}  # fmt: skip


def instead(name: str) -> str | None:
    """What exists instead of a name of TensorFlow's or Keras's; None for a name that they do not have either."""
    return _INSTEAD.get(name)


def instead_of_identifier(name: str) -> str | None:
    """The same for a text that stands for a class: `kl_divergence` or `kldivergence` for `KLDivergence`."""
    if name in _INSTEAD:
        return _INSTEAD[name]
    plain = name.replace("_", "").lower() if name[:1] != "_" else ""
    return next((text for key, text in _INSTEAD.items() if key.replace("_", "").lower() == plain), None)


def absent(module: str, name: str, known: Iterable[str], frame: FrameType) -> Exception:
    """The exception for a name that `module` does not have.

    Args:
        module: name of the module that was asked.
        name: what it was asked for.
        known: the names that it has.
        frame: who asked. `from module import name` would drop the text of an AttributeError, so there it is an
            ImportError; `hasattr` and `getattr` with a default need the AttributeError.
    """
    text = f"module {module!r} has no {name!r}"
    if name in _INSTEAD:
        text += f": {_INSTEAD[name]}."
    elif not name.startswith("_"):
        from ._names import near_match

        text += f".{near_match(name, list(known))}"
    if _is_from_import(frame):
        return ImportError(text, name=module)
    return AttributeError(text, name=name)


def _is_from_import(frame: FrameType) -> bool:
    """Whether the frame is at the instruction of `from ... import ...`."""
    from opcode import opmap

    return frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"]


def getter(module: str, known: Iterable[str], submodules: Iterable[str] = ()) -> Callable[[str], Any]:
    """A module's `__getattr__` that loads its submodules at first use and explains what is not there."""
    import sys
    from importlib import import_module

    def __getattr__(name: str) -> Any:
        if name in submodules:
            return import_module(f"{module}.{name}")
        raise absent(module, name, known, sys._getframe(1))

    return __getattr__
