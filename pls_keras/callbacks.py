"""Callbacks that measure training dynamics, whose curves `History` holds, and one that learns theta."""

import contextlib
import math
import warnings

import keras
import numpy as np
from keras import ops

from pls_keras.data.feeding import Batches, evaluate
from pls_keras.losses import PreferentialSmoothingLoss, logits_if_known, target_table
from pls_keras.thetas import Theta
from pls_keras.thetas.checks import flag, whole_number

NOT_FINITE = (
    "The {} is no finite number. Likely causes: class ids that count from 1 (give y - 1), "
    "labels that do not sum to one, logits without from_logits=True, NaN in the data, too high a learning "
    "rate. model.compile(…, run_eagerly=True) names what is wrong with labels or predictions."
)


class GradientNorm(keras.callbacks.Callback):
    """L2 norm of the gradient at each training step, averaged over the epoch (section 6.3.2).

    The gradient is the one that the optimizer receives: of the mini-batch, in training mode, with
    the penalties of regularizers, summed over replicas, without loss scaling, before clipping and
    weight decay; under gradient accumulation, that of each mini-batch. It is measured inside the
    compiled step, with no second backward pass, and fetched once an epoch. Steps that a
    `LossScaleOptimizer` skips do not count.

    At the end of each epoch `logs` gets

    - `grad_norm`: mean over the epoch's steps,
    - `grad_norm_std`: standard deviation over them (population),
    - `grad_norm_max`: maximum,
    - `grad_norm/<layer>`: with `per_layer`, the mean of each layer's own norm.

    Where `model.optimizer` applies nothing, as under a `train_step` that has an optimizer of its own,
    there is a warning and no entry; where the training loss or its gradient is NaN there is one that
    names likely causes. Callbacks that read these, such as `CSVLogger`, come after this one in the list.
    The step is compiled anew when training starts; the optimizer is as before when it ends, and a model
    saved during training holds nothing of this callback.

    Args:
        per_layer: also measure each layer with trainable weights.
        name: key in `logs` and prefix of the others.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
        >>> model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
        >>> x, y = np.zeros((8, 4)), np.zeros(8)
        >>> history = model.fit(x, y, verbose=0, callbacks=[GradientNorm()])
        >>> sorted(history.history)
        ['grad_norm', 'grad_norm_max', 'grad_norm_std', 'loss']
    """

    def __init__(self, per_layer=False, name="grad_norm"):
        super().__init__()
        self.per_layer = per_layer
        self.name = name
        self._statistics = None
        self._layers = []
        self._measured_step = None, None  # a compilation, and the training step measured for it
        self._has_gradients = self._has_warned = False

    def on_train_begin(self, logs=None):
        optimizer = _innermost(self.model.optimizer)
        owner = getattr(vars(optimizer).get("apply"), "__self__", None)
        if isinstance(owner, GradientNorm):
            owner._detach()  # left by a fit that was interrupted, unless of this one
            if not owner._epoch_begun:
                raise ValueError(
                    "Two GradientNorm callbacks in one fit measure the same gradient. Use one; "
                    "GradientNorm(per_layer=True) also gives the norm over all layers."
                )
        self._attach(optimizer)

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_begun = True
        if self._statistics is not None:
            self._statistics.assign(np.zeros(self._statistics.shape, "float32"))

    def on_epoch_end(self, epoch, logs=None):
        if logs is None:
            return
        is_finite = np.isfinite(logs.get("loss", 0.0))
        if not is_finite:
            warnings.warn(NOT_FINITE.format("training loss"), stacklevel=2)  # which Python shows once
        if not self._has_gradients:
            if not self._has_warned:
                warnings.warn(
                    "GradientNorm measures the gradients that model.optimizer applies, and it has applied "
                    "none in this epoch: a train_step of your own may apply another optimizer. Nothing is "
                    "written.",
                    stacklevel=2,
                )
            self._has_warned = True
            return
        steps, mean, squares, maximum = np.asarray(self._statistics)
        if not steps[0]:  # every step was skipped for an overflow
            mean, squares, maximum = np.full((3, len(steps)), np.nan)
        elif is_finite and not np.isfinite(mean[0]):
            warnings.warn(NOT_FINITE.format("gradient of the training loss"), stacklevel=2)
        logs[self.name] = float(mean[0])
        logs[f"{self.name}_std"] = float(np.sqrt(squares[0] / max(steps[0], 1)))
        logs[f"{self.name}_max"] = float(maximum[0])
        logs.update({f"{self.name}/{k}": float(v) for k, v in zip(self._layers, mean[1:], strict=True)})

    def on_train_end(self, logs=None):
        self._detach()

    def _attach(self, optimizer):
        self._optimizer = optimizer
        self._epoch_begun = False
        self._apply, optimizer.apply = optimizer.apply, self._measured_apply
        # What a checkpoint saves and loads is the optimizer's own state.
        self._holders = {id(o): o for o in (optimizer, self.model.optimizer)}.values()
        for holder in self._holders:
            holder.save_own_variables = self._without_statistics(holder.save_own_variables)
            holder.load_own_variables = self._without_statistics(holder.load_own_variables)

        # A second fit of the same compilation need not be compiled again.
        compilation, measured_step = self._measured_step
        if compilation is None or compilation is not self.model._compile_loss:
            measured_step, self._statistics, self._has_gradients = None, None, False
        if self._statistics is not None:
            self._list_statistics()
        elif self.model.built:
            self._create_statistics(self.model.trainable_variables)
        self._plain_step, self.model.train_function = self.model.train_function, measured_step
        self.model.make_train_function()

    def _detach(self):
        # JAX takes two jitted steps of a model for one, as long as both live: none is kept there.
        if keras.backend.backend() != "jax":
            self._measured_step = self.model._compile_loss, self.model.train_function
        self.model.train_function, self._plain_step = self._plain_step, None
        for holder in self._holders:
            del holder.save_own_variables, holder.load_own_variables
        del self._optimizer.apply
        self._unlist_statistics()

    def _list_statistics(self):
        """Have JAX carry them from step to step: its state is what optimizer, model and metrics list.

        Elsewhere the lists stay as they are: TensorFlow does not export one that has lost an element.
        """
        if keras.backend.backend() == "jax" and self._statistics is not None:
            self._optimizer._track_variable(self._statistics)

    def _unlist_statistics(self):
        if keras.backend.backend() == "jax" and self._statistics is not None:
            self._optimizer._untrack_variable(self._statistics)

    def _without_statistics(self, method):
        """`method` of an optimizer, run while the optimizer does not list the statistics."""

        def wrapped(store):
            self._unlist_statistics()
            try:
                method(store)
            finally:
                self._list_statistics()

        return wrapped

    def _create_statistics(self, variables):
        """Rows: steps, mean, sum of squared deviations, maximum. Columns: all weights, each layer."""
        paths = [_layer_path(v, self.model) for v in variables] if self.per_layer else []
        self._layers = list(dict.fromkeys(paths))
        strategy = getattr(self.model, "distribute_strategy", None)  # TensorFlow's alone
        with strategy.scope() if strategy else contextlib.nullcontext():
            self._statistics = keras.Variable(
                "zeros",
                (4, 1 + len(self._layers)),
                dtype="float32",
                trainable=False,
                aggregation="only_first_replica",
                name=self.name,
            )
        self._list_statistics()

    def _measured_apply(self, grads, trainable_variables=None):
        self._has_gradients = True
        grads = list(grads)
        variables = list(trainable_variables or self._optimizer._trainable_variables)
        if self._statistics is None:  # the model is being built by its first step
            self._create_statistics(variables)
        self._update_statistics(self._norms(grads, variables))
        return self._apply(grads, trainable_variables)

    def _norms(self, grads, variables):
        """Norms over all weights and over each layer's, shape (1 + layers,)."""
        scale = self._optimizer.loss_scale_factor or 1.0
        squares = {layer: [] for layer in self._layers}
        for gradient, variable in zip(_summed_over_replicas(grads), variables, strict=True):
            if gradient is not None and not getattr(variable, "overwrite_with_gradient", False):
                square = ops.sum(ops.square(ops.cast(gradient, "float32")))
                layer = _layer_path(variable, self.model) if self.per_layer else "all"
                squares.setdefault(layer, []).append(square)
        layers = [ops.sum(ops.stack(s)) if s else ops.zeros(()) for s in squares.values()]
        everything = ops.sum(ops.stack(layers)) if layers else ops.zeros(())
        norms = ops.sqrt(ops.stack([everything, *layers] if self.per_layer else [everything]))
        return norms / scale

    def _update_statistics(self, norms):
        """Welford's update: no cancellation, however small the spread."""
        steps, mean, squares, maximum = ops.unstack(ops.convert_to_tensor(self._statistics), 4)
        steps = steps + 1
        deviation = norms - mean
        mean = mean + deviation / steps
        squares = squares + deviation * (norms - mean)
        self._statistics.assign(ops.stack([steps, mean, squares, ops.maximum(maximum, norms)]))


class GeneralizationError(keras.callbacks.Callback):
    """`|test error - training error|` each epoch, error = 1 - accuracy (section 4.1).

    Both accuracies are of the model in inference mode, on the images as they are given here:
    without augmentation, which the accuracy that `fit` reports for training includes.

    At the end of each epoch `logs` gets `generalization_error`, `train_accuracy`, `test_accuracy`,
    `train_loss` and `test_loss`. The losses are the compiled ones, smoothed if the loss is.

    Args:
        train_data: what `fit` trains on: `(x, y)`, or a data set of batches that `evaluate` takes.
        test_data: the same for testing. If None, `val_accuracy` and `val_loss` of `fit`'s own
            validation data are taken, which saves an evaluation.
        batch_size: samples a batch where arrays are given.
        metric: name of the compiled metric that measures accuracy in [0, 1].

    Raises:
        ValueError: if data are neither a pair nor a data set, or, at the end of an epoch, if a score is
            missing.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
        >>> model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> x, y = np.zeros((8, 4)), np.zeros(8)
        >>> error = GeneralizationError((x, y), test_data=(x, y))
        >>> model.fit(x, y, verbose=0, callbacks=[error]).history["generalization_error"]
        [0.0]
    """

    def __init__(self, train_data, test_data=None, *, batch_size=256, metric="accuracy"):
        super().__init__()
        batch_size = whole_number(batch_size, "batch_size", 1, math.inf)
        self.train_data = _batches(train_data, batch_size, "train_data")
        self.test_data = None if test_data is None else _batches(test_data, batch_size, "test_data")
        self.metric = metric

    def on_epoch_end(self, epoch, logs=None):
        train = self._evaluate(self.train_data)
        if self.test_data is not None:
            test = self._evaluate(self.test_data)
        else:
            test = {k[4:]: v for k, v in logs.items() if k.startswith("val_")}
        for source, scores in (("train_data", train), ("test_data or validation_data", test)):
            if self.metric not in scores:
                raise ValueError(
                    f"GeneralizationError needs the metric {self.metric!r} on {source}. Received: "
                    f"{sorted(scores)}. Compile with metrics=['accuracy'], or name another by metric=…, "
                    "and give fit its validation_data, for every epoch, or this callback its test_data."
                )
        logs.update(
            generalization_error=abs(train[self.metric] - test[self.metric]),
            train_accuracy=train[self.metric],
            test_accuracy=test[self.metric],
            train_loss=train["loss"],
            test_loss=test["loss"],
        )

    def _evaluate(self, data):
        if isinstance(data, Batches):
            return evaluate(self.model, data)
        return self.model.evaluate(data, verbose=0, return_dict=True)


def _batches(data, batch_size, what):
    """`(x, y)` in batches; a data set as it is."""
    if not isinstance(data, (tuple, list, np.ndarray)):
        return data
    if isinstance(data, np.ndarray) or len(data) != 2:
        raise ValueError(
            f"{what} must be a pair (x, y), or a data set of batches that evaluate takes; accuracy knows "
            f"no sample weights. Received: {type(data).__name__} of length {len(data)}"
        )
    return Batches(*data, batch_size)


class OnlineTheta(keras.callbacks.Callback):
    """Learns theta while a model trains: each epoch's from the predictions of the epoch before.

    The row of a true class becomes the mean prediction for those of its training samples that were
    classified correctly, in training mode, as they went by (Zhang et al., 2021, "Online Label
    Smoothing"); a class without any keeps its row. Training begins with the theta of the compiled
    `PreferentialSmoothingLoss`, such as `uniform_theta(labels)`, and that loss has the last theta when
    it ends. So a model saved at any epoch has its theta, and training goes on from it; callbacks that save
    the model come after this one in the list. `BackupAndRestore` keeps weights alone, and not theta.

    The sums are made inside the compiled step, which is compiled once, on every backend; theta reaches
    it as a variable. Sample weights do not count; soft labels count as their largest share. Theta is
    dense: a K×K array.

    Args:
        include_true: whether the true class keeps its share of the mean prediction, as in the
            reference, whose loss is that of a `smoothing_ratio` of 0.5; else the others share all, in
            the same proportions, as in CLS and SEMLS.

    Attributes:
        theta: the last `Theta`.

    Raises:
        ValueError: when training begins, if the model was not compiled with one
            `PreferentialSmoothingLoss`.

    Example:
        >>> from pls_keras import uniform_theta
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
        >>> model.compile("sgd", PreferentialSmoothingLoss(uniform_theta(["cat", "dog", "car"])))
        >>> online = OnlineTheta()
        >>> history = model.fit(np.eye(4), np.arange(4) % 3, epochs=2, verbose=0, callbacks=[online])
        >>> online.theta.to_frame().shape
        (3, 3)

    Reference:
        Zhang et al., "Delving Deep into Label Smoothing", 2021, the paper's reference 7.
    """

    def __init__(self, include_true=True):
        super().__init__()
        self.include_true = flag(include_true, "include_true")
        self.theta = None

    def on_train_begin(self, logs=None):
        losses = [
            loss
            for loss in keras.tree.flatten(self.model.loss)
            if isinstance(loss, PreferentialSmoothingLoss)
        ]
        outputs = getattr(self.model, "outputs", None) or [None]
        for_all = len(outputs) > 1 and not keras.tree.is_nested(self.model.loss)
        if len(losses) != 1 or for_all:
            raise ValueError(
                "OnlineTheta needs a model compiled with one PreferentialSmoothingLoss, of one output, for "
                "instance PreferentialSmoothingLoss(uniform_theta(labels)). Received: "
                f"loss={self.model.loss}, {len(outputs)} outputs"
            )
        [self._loss] = losses
        if self._loss.observer is not None:
            other = self._loss.observer.callback
            other._detach()  # left by a fit that was interrupted, unless of this one
            if not other._epoch_begun:
                raise ValueError("Two OnlineTheta callbacks in one fit learn the same theta. Use one.")
        self._epoch_begun = False
        self.theta = self._loss.theta
        strategy = getattr(self.model, "distribute_strategy", None)  # TensorFlow's alone
        with strategy.scope() if strategy else contextlib.nullcontext():
            self._observer = _CorrectPredictions(self)
        self._loss.observer = self._observer
        # Among the metrics, so that JAX takes its variables along from step to step.
        self.model._metrics.append(self._observer)
        self._compile_anew()

    def on_epoch_begin(self, epoch, logs=None):
        self._observer.reset_state()
        self._epoch_begun, self._epoch, self._observer.is_training = True, epoch, True

    def on_test_begin(self, logs=None):
        self._reestimate()

    def on_epoch_end(self, epoch, logs=None):
        self._reestimate()

    def on_train_end(self, logs=None):
        self._detach()

    def _reestimate(self):
        """Take the epoch's sums, once, before an evaluation adds to them."""
        if not self._observer.is_training:
            return
        self._observer.is_training = False
        sums = np.asarray(self._observer.sums, "float64")
        if not self.include_true:
            np.fill_diagonal(sums, 0.0)
        totals = sums.sum(axis=1, keepdims=True)
        matrix = np.where(totals > 0, sums / np.where(totals > 0, totals, 1.0), np.asarray(self.theta))
        provenance = {
            "builder": "OnlineTheta",
            "include_true": self.include_true,
            "epochs": self._epoch + 1,
        }
        self.theta = self._loss.theta = Theta(matrix, self.theta.labels, provenance=provenance)
        self._observer.table.assign(target_table(self.theta, self._loss.smoothing_ratio))

    def _detach(self):
        self._loss.observer = None
        metrics = self.model._metrics
        metrics[:] = [metric for metric in metrics if metric is not self._observer]
        self._compile_anew()

    def _compile_anew(self):
        # The same as another object: a step that a GradientNorm has kept is of the old one.
        old = self.model._compile_loss
        self.model._compile_loss = object.__new__(type(old))
        vars(self.model._compile_loss).update(vars(old))
        self.model.train_function = self.model.test_function = None
        self.model.make_train_function()


class _CorrectPredictions(keras.metrics.Metric):
    """What `OnlineTheta` keeps on the device: sums of predictions (classes, classes), and the targets.

    A metric in Keras's sense, since Keras carries the state of those through the step on all backends;
    of a result it has none, so that `logs` is as before.
    """

    def __init__(self, callback):
        super().__init__(name="correct_predictions", dtype="float32")
        self.callback = callback
        self.loss = callback._loss
        self.is_training = False
        table = target_table(self.loss.theta, self.loss.smoothing_ratio)
        self.sums = self.add_variable(table.shape, "zeros", name="sums")
        self.table = self.add_variable(table.shape, "zeros", aggregation="mean", name="table")
        self.table.assign(table)

    def __call__(self, y_true, y_pred):
        self.update_state(y_true, y_pred)
        return ops.convert_to_tensor(self.table)

    def update_state(self, y_true, y_pred):
        y_pred, are_logits = logits_if_known(y_pred, self.loss.from_logits)
        p = ops.cast(y_pred, "float32")
        p = ops.softmax(p) if are_logits else p
        classes = p.shape[-1]
        y_true = ops.convert_to_tensor(y_true)
        if len(y_true.shape) == len(p.shape) and y_true.shape[-1] != 1:
            y_true = ops.argmax(y_true, axis=-1)
        ids = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        p = ops.stop_gradient(ops.reshape(p, (-1, classes)))
        correct = ops.cast(ops.argmax(p, axis=-1), "int32") == ids
        p = ops.where(ops.expand_dims(correct, -1), p, 0.0)
        self.sums.assign_add(ops.segment_sum(p, ops.clip(ids, 0, classes - 1), num_segments=classes))

    def result(self):
        return {}

    def reset_state(self):
        """Zero the sums, after an epoch's were taken; the targets stay."""
        if self.is_training:
            self.callback._reestimate()
        self.sums.assign(np.zeros(self.sums.shape, "float32"))


def _innermost(optimizer):
    """The optimizer that receives unscaled gradients."""
    return _innermost(optimizer.inner_optimizer) if hasattr(optimizer, "inner_optimizer") else optimizer


def _layer_path(variable, model):
    """Path of the variable's layer within the model, "block1/conv1"."""
    return variable.path.rpartition("/")[0].removeprefix(f"{model.name}/")


def _summed_over_replicas(grads):
    """Gradients as dense tensors of the whole batch: under tf.distribute each replica has a part."""
    if keras.backend.backend() != "tensorflow":
        return grads
    import tensorflow as tf

    dense = [None if g is None else tf.convert_to_tensor(g) for g in grads]
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return dense
    summed = iter(replica.all_reduce("sum", [g for g in dense if g is not None]))
    return [None if g is None else next(summed) for g in dense]
