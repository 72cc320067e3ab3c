"""What TensorFlow and Keras have and lanewise does not, and what to use instead: a closed table.

`module.Conv2D` raises AttributeError and `from module import Conv2D` raises ImportError, both with the same text.
"""

from collections.abc import Callable, Iterable, Mapping
from types import FrameType, ModuleType
from typing import Any

_DENSE = (
    "lanewise computes dense networks, without convolutions, recurrence or attention; its layers are Dense, Activation,"
    " Embedding, normalisation, dropout and the others of lanewise.layers"
)
_SEQUENTIAL = "use lanewise.Sequential([...]) or lanewise.Model(inputs, outputs)"
_GRADIENTS = "use model.value_and_grad(x, y) and model.apply_gradients(gradients)"
_ARRAYS = "NumPy arrays go in and come out: use the function of NumPy or SciPy"
_DATA = "fit takes arrays (read in place, memory-mapped too), or a generator, a PyDataset, any iterable of batches"
_PREPARE = "prepare arrays with NumPy or scikit-learn, or put lanewise.layers.Normalization in the model"
_LOG = "write logs from a lanewise.callbacks.LambdaCallback(on_epoch_end=...), or read the History that fit returns"
_OPTIMIZER = "see lanewise.optimizers for those that exist: Adam, AdamW, SGD and others"
_ACTIVATION = "activations are relu, elu, gelu, silu, softmax and the others of lanewise.activations"
_LOSS = "see lanewise.losses and lanewise.metrics for those that exist"
_SAVE = "save with model.save(path), read with lanewise.load_model(path)"
_OWN = "write a subclass of Layer with call(), in lanewise.keras.ops"
_WRAPPER = "use KerasRegressor and KerasClassifier of lanewise.sklearn, around a function that builds the model"


def _each(names: str, text: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), text)


_INSTEAD: dict[str, str] = {
    **_each("GradientTape gradients custom_gradient recompute_grad grad_pass_through stop_recording hessians remat "
            "RematScope", _GRADIENTS),
    **_each("data Dataset TFRecordDataset image_dataset_from_directory timeseries_dataset_from_array", _DATA),
    **_each("Module Wrapper", _OWN),
    **_each("tree nest", "nested lists and dicts of arrays go in and come out as they are"),
    "cond": "use where(condition, a, b), or Python's if",
    **_each("slice strided_slice", "use x[start:stop]"),
    **_each("slice_update scatter_update", "use where, or concatenate parts of the array"),
    "lookup": "use StringLookup or IntegerLookup",
    "function": "a Python function needs no compiling; remove @tf.function, fit and predict run in compiled code",
    **_each("Variable variable", "weights come from a layer's add_weight; other values are NumPy arrays"),
    "Tensor": "tensors are NumPy arrays: np.ndarray",
    **_each("numpy_function py_function", "a Python function is called as it is"),
    "moments": "use keras.ops.mean and keras.ops.var",
    **_each("TensorShape TensorSpec TensorArray dtypes RaggedTensor SparseTensor string "
            "while_loop map_fn DType IndexedSlices TypeSpec add_n as_dtype as_string bfloat16 bitcast "
            "boolean_mask case clip_by_global_norm clip_by_norm complex dynamic_partition dynamic_stitch "
            "edit_distance ensure_shape erfc fftnd foldl foldr gather_nd hashing ifftnd ragged raw_ops reverse "
            "saturate_cast scalar_mul scan scatter_nd sequence_mask sets sparse switch_case "
            "tensor_scatter_nd_add tensor_scatter_nd_update truediv tuple unique_with_counts vectorized_map", _ARRAYS),
    **_each("Session compat global_variables_initializer placeholder reset_default_graph Graph "
            "name_scope init_scope control_dependencies autograph identity_n no_op group StatelessScope SymbolicScope "
            "functions_run_eagerly", "there are no sessions: models run at once"),
    **_each("distribute distribution tpu dtensor xla LogicalDevice PhysicalDevice set_backend",
            "everything runs on this CPU's cores; see lanewise.set_num_threads"),
    "debugging": "lanewise.build_info() says what runs; there is never a GPU",
    **_each("save load train io saved_model lite", _SAVE),
    **_each("estimator feature_column", _SEQUENTIAL),
    "ThresholdedReLU": "use ReLU(threshold=theta)",
    "Reduction": "reduction= takes 'sum_over_batch_size', 'sum', 'mean_with_sample_weight' or None",
    **_each("errors assert_equal assert_greater assert_less assert_rank Assert", "errors are Python's own: ValueError, "
            "TypeError; assert is a statement of Python's"),
    **_each("profiler summary", _LOG),
    **_each("RemoteMonitor OrbaxCheckpoint", _LOG),
    **_each("OrthogonalRegularizer orthogonal_regularizer", "regularizers are L1, L2 and L1L2; the Orthogonal "
            "initializer makes orthogonal weights"),
    **_each("Lamb Adafactor Muon ScheduleFreeAdamW LossScaleOptimizer MultiOptimizer OptimizerMap", _OPTIMIZER),
    **_each("hard_shrink soft_shrink tanh_shrink threshold squareplus sparse_plus sparsemax glu", _ACTIVATION),
    **_each("conv2d embedding_lookup softmax_cross_entropy_with_logits", _ACTIVATION),
    **_each("ConfusionMatrix PearsonCorrelation ConcordanceCorrelation MeanMetricWrapper LossFunctionWrapper", _LOSS),
    **_each("CTC Dice Tversky Circle ctc dice tversky circle CategoricalGeneralizedCrossEntropy "
            "categorical_generalized_cross_entropy pearson_correlation concordance_correlation", _LOSS),
    **_each("text strings audio signal image_dataset ImageDataGenerator Tokenizer image", _PREPARE),
    "applications": "lanewise has no pretrained models",
    "wrappers": _WRAPPER,
    **_each("KerasClassifier KerasRegressor SKLearnClassifier SKLearnRegressor", _WRAPPER),
    **_each("mixed_precision set_global_policy", "layers compute in float32"),
    **_each("DTypePolicy FloatDTypePolicy Quantizer dtype_policies quantizers quantization standardize_dtype",
            "layers compute in float32"),
    **_each("KerasTensor Function InputSpec Operation", "lanewise.Input and layers make what lanewise.Model takes"),
    **_each("max_epochs max_steps_per_epoch set_max_epochs set_max_steps_per_epoch", "give fit epochs= and "
            "steps_per_epoch="),
    **_each("pack_x_y_sample_weight unpack_x_y_sample_weight", "batches are tuples: (x, y) or (x, y, sample_weight)"),
    "is_keras_tensor": "a symbolic tensor is what lanewise.Input and layers called on it give",
    "split_dataset": "fit has validation_split=, scikit-learn train_test_split",
    "TextVectorization": "make numbers of text with scikit-learn's TfidfVectorizer, or StringLookup for single words",
    **_each("Hashing HashedCrossing", "use StringLookup or IntegerLookup, or hash the array before"),
    "Lambda": "keras.ops and operators on symbolic tensors stand in Model(inputs, outputs) by themselves; for a "
              "Sequential write a subclass of Layer with call()",
    "ActivityRegularization": "give the layer before it activity_regularizer=",
    "TimeDistributed": "Dense works on the last axis of (n, time, columns) by itself",
    **_each("FeatureSpace img_to_array array_to_img load_img save_img", _PREPARE),
    **_each("GroupNormalization SpectralNormalization", "normalisation is BatchNormalization, LayerNormalization, "
            "RMSNormalization and UnitNormalization"),
    **_each("EinsumDense ReversibleEmbedding", "Dense, Embedding, or a Layer of your own with keras.ops"),
    **_each("JaxLayer FlaxLayer TorchModuleWrapper TFSMLayer MelSpectrogram STFTSpectrogram Pipeline", _OWN),
    **_each("export KerasFileEditor", _SAVE),
    "model_to_dot": "lanewise.utils.plot_model(model, to_file='model.svg') draws the layers",
    "Progbar": "fit, evaluate and predict show their progress with verbose=1",
}  # fmt: skip


_FAMILIES = (
    (r"[Cc]onv(\d|olution|LSTM|_)|_pool|Pool(ing)?[23]D|^(Average|Avg|Max|Adaptive\w+)Pool|LSTM|GRU|RNN|Attention|Bidirectional|"
     r"UpSampling|ZeroPadding|Cropping|SpatialDropout", _DENSE),
    (r"^(Random(?!Normal|Uniform)|RandA|Aug|Auto|Mix|Cut|Center|Contrast|Equal|Solar|Resizing|MaxNumB)|"
     r"(image|text|audio)_dataset", _PREPARE),
    ("_initializer$", "use lanewise.initializers"),
)  # fmt: skip
"""Names of many kinds: a pattern that is looked for in them, and what to use instead."""


def instead(name: str) -> str | None:
    """What exists instead of a name of TensorFlow's or Keras's; None for a name that they do not have either."""
    import re

    return _INSTEAD.get(name) or next((text for family, text in _FAMILIES if re.search(family, name)), None)


def instead_of_identifier(name: str) -> str | None:
    """The same for a text that stands for a class: `kl_divergence` or `kldivergence` for `KLDivergence`."""
    if (text := instead(name)) is not None:
        return text
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
    if module == "lanewise.ops" and not name.startswith("_"):  # the kernels
        pair = [f"{name}_{way}" for way in ("forward", "backward") if f"{name}_{way}" in known]
        near = _near(name, known) or " lanewise.keras.ops has the functions of Keras's."
        text += f": use {' and '.join(pair)}." if pair else f".{near}"
    elif (advice := instead(name)) is not None:
        text += f": {advice}."
    elif not name.startswith("_"):
        import numpy

        last = module.rpartition(".")[2]
        arrays = ".ops" in module or last in ("math", "linalg", "nn", "backend", "random")
        home = numpy.linalg if last == "linalg" else numpy
        if last == "random" and hasattr(numpy.random.Generator, name):
            text += f": use numpy.random.default_rng(seed).{name}."
        elif (arrays or module == "lanewise") and hasattr(home, name):
            text += f": use {home.__name__}.{name}, which takes what these functions take."
        else:
            other = f": {_ARRAYS}." if arrays else f". dir({module}) lists what there is."
            text += f".{near}" if (near := _near(name, known)) else other
    if _is_from_import(frame):
        return ImportError(text, name=module)
    return AttributeError(text, name=name)


_STEPS = "steps run in compiled code; for steps of your own " + _GRADIENTS
_FLOAT32 = "layers compute in float32, without quantization or LoRA"
_STATE = "a model has get_weights() and set_weights(...), optimizer_state() and load_optimizer_state(...)"
_SUMS = "the engine keeps the sums of metrics, result() reads them; a subclass has those that its add_weight makes"

_ATTRIBUTES: dict[str, str] = {
    **_each("add_loss add_metric", "penalties are the kernel_regularizer and activity_regularizer of layers, anything "
            "else a function given to compile as loss= or in metrics="),
    **_each("train_step test_step predict_step train_function test_function predict_function make_train_function "
            "make_test_function make_predict_function compute_loss compute_loss_and_updates compute_metrics "
            "stateless_compute_loss minimize apply apply_gradients update_step stateless_apply add_optimizer_variables "
            "add_variable_from_reference", _STEPS),
    **_each("stateless_call symbolic_call quantized_call rematerialized_call compute_output_spec "
            "call_signature_parameters", "call it on arrays, or on what Input gives; see also compute_output_shape"),
    **_each("compute_mask", "only Masking and Embedding(mask_zero=True) make masks, which the layers after them use"),
    **_each("quantize quantization_mode quantization_config quantized_build get_quantization_layer_structure "
            "enable_lora lora_enabled lora_rank lora_alpha autocast dtype_policy scale_loss", _FLOAT32),
    **_each("save_own_variables load_own_variables get_state_tree set_state_tree variable_serialization_spec", _STATE),
    **_each("get_build_config build_from_config", "use input_shape and build(input_shape)"),
    **_each("stateless_update_state stateless_result stateless_reset_state", "use update_state, result, reset_state"),
    **_each("total count true_positives true_negatives false_positives false_negatives", _SUMS),
    **_each("fn call", "call the object itself; made with reduction=None a loss gives the values of the rows"),
    **_each("monitor_op", "improves(value, reference) says whether one is better"),
    **_each("predict_classes", "use np.argmax(model.predict(x), axis=1), or model.predict(x) > 0.5 for one column"),
    **_each("predict_proba", "use model.predict(x)"),
    **_each("fit_generator evaluate_generator predict_generator", "fit, evaluate and predict take generators"),
    **_each("metrics metrics_variables", "the model has model.metrics"),
    **_each("jax_state_sync supports_jit", "everything is compiled already"),
    "export": _SAVE,
    "set_weights": _STATE,
}  # fmt: skip


def attribute_instead(name: str) -> str | None:
    """What to use instead of an attribute that a layer, model, loss, ... of Keras's has."""
    return _ATTRIBUTES.get(name)


class Absent:
    """Stands for an attribute of Keras's objects: reading it raises AttributeError, which says what to use instead.

    (A `__getattr__` could say so too, but it slows each reading of each attribute of an object that has one.)
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, obj: Any, owner: type) -> Any:
        for cls in owner.__mro__:  # classes of a person's own may come after ours
            found = vars(cls).get(self._name, self)
            if found is not self:
                return found.__get__(obj, owner) if hasattr(found, "__get__") else found
        text = f"{owner.__name__!r} object has no attribute {self._name!r}: {_ATTRIBUTES[self._name]}"
        raise AttributeError(text, name=self._name, obj=obj)


class Unset:
    """Stands for an attribute that `__init__` gives: reading it before that raises RuntimeError."""

    def __get__(self, obj: Any, owner: type) -> Any:
        if obj is None:
            return self
        raise RuntimeError(f"{owner.__name__}: its __init__ must call super().__init__() before anything else")


ABSENT = {name: Absent(name) for name in _ATTRIBUTES}


def _near(name: str, known: Iterable[str]) -> str:
    """' Did you mean ...?' for a slip of the hand or a name cut short; another name is no hint."""
    from ._names import near_match

    short = [k for k in known if len(name) > 3 and k.lower().startswith(name.lower())]
    near = [
        k
        for k in known
        if abs(len(k) - len(name)) < 2 and [c for c in k if c.isdigit()] == [c for c in name if c.isdigit()]
    ]
    return f" Did you mean {short[0]!r}?" if len(short) == 1 else near_match(name, near, 0.75)


def _is_from_import(frame: FrameType) -> bool:
    """Whether the frame is at the instruction of `from ... import ...`."""
    from opcode import opmap

    return frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"]


def getter(
    module: str, known: Iterable[str], submodules: Iterable[str] = (), homes: Mapping[str, str] | None = None
) -> Callable[[str], Any]:
    """A module's `__getattr__`: loads submodules and names (from `homes`) at first use, explains what is not there."""
    import sys
    from importlib import import_module

    def __getattr__(name: str) -> Any:
        if name in submodules:
            return import_module(f"{module}.{name}")
        if homes and name in homes:
            return getattr(import_module(homes[name]), name)
        raise absent(module, name, known, sys._getframe(1))

    return __getattr__


def lister(namespace: Mapping[str, Any], known: Iterable[str]) -> Callable[[], list[str]]:
    """The `__dir__` of a module of which some names are loaded at first use."""
    return lambda: sorted({*namespace, *known})


def places(module: str, *names: str) -> tuple[str, ...]:
    """The names, under which this module is found as if it were one in itself."""
    import sys

    sys.modules.update({f"{module}.{name}": sys.modules[module] for name in names})
    return names


def module_of(name: str, **members: Any) -> Any:
    """A module of these members, which explains what is not there."""
    import sys

    made = sys.modules[name] = ModuleType(name)
    vars(made).update(members, __all__=sorted(members), __getattr__=getter(name, members))
    return made
