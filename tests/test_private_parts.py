"""What the package uses of Keras and joblib that they do not promise to keep: all of it, why, and how."""

import ast
import importlib
import pathlib

import keras
import numpy as np
import pytest
from keras import ops

import pls_keras

BACKEND = keras.backend.backend()
SOURCES = pathlib.Path(pls_keras.__file__).parent.rglob("*.py")


def each_compilation_has_a_loss_of_its_own():
    """callbacks: GradientNorm tells compilations apart by it."""
    model = small_model()
    model.compile("sgd", "mse")
    first = model._compile_loss
    model.compile("sgd", "mse")
    assert model._compile_loss is not first


def a_model_lists_metrics_of_its_own():
    """callbacks: OnlineTheta's sums ride there from step to step."""
    model = small_model()
    metric = keras.metrics.Mean(name="rider")
    model.compile("sgd", "mse")
    model.fit(np.zeros((2, 3)), np.zeros((2, 3)), verbose=0)
    model._metrics.append(metric)
    assert metric in model.metrics


def a_softmax_leaves_its_logits():
    """losses: the loss computes from them, not from rounded probabilities; Keras's own losses do so too."""
    if BACKEND == "jax":
        pytest.skip("an array of JAX has no attributes")
    logits = ops.convert_to_tensor([[1.0, 2.0]])
    assert keras.activations.softmax(logits)._keras_logits is logits


def a_mask_reaches_the_reduction_of_a_loss():
    """losses: ignored samples do not count in the mean; Keras's own ignore_class does the same."""
    from keras.src.backend.common.masking import get_keras_mask, set_keras_mask

    losses, mask = ops.ones(3), ops.convert_to_tensor([True, False, True])
    set_keras_mask(losses, mask)
    assert get_keras_mask(losses) is mask


def asked_for_shapes_alone_a_function_can_tell():
    """losses: PyTorch's backend then calls it with ones, which are no labels."""
    from keras.src.backend.common.symbolic_scope import in_symbolic_scope

    class Layer(keras.layers.Layer):
        def call(self, x):
            assert in_symbolic_scope()
            return x

    Layer()(keras.Input((2,)))
    assert not in_symbolic_scope()


def an_optimizer_lists_what_it_is_told_to_track():
    """callbacks: JAX carries from step to step what the optimizer lists, GradientNorm's statistics too."""
    optimizer, variable = keras.optimizers.SGD(), keras.Variable([0.0])
    before = len(optimizer.variables)
    optimizer._track_variable(variable)
    assert len(optimizer.variables) == before + 1
    optimizer._untrack_variable(variable)
    assert len(optimizer.variables) == before


def a_built_optimizer_knows_its_trainable_variables():
    """callbacks: `apply(grads)` without variables means these."""
    model = small_model()
    optimizer = keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
    assert [v.path for v in optimizer._trainable_variables] == [v.path for v in model.trainable_variables]


def batch_normalization_knows_the_axes_that_it_reduces():
    """models: the fused kernel is there for the axes before the last alone."""
    layer = keras.layers.BatchNormalization()
    layer.build((None, 2, 2, 3))
    assert layer._reduction_axes == [0, 1, 2]


def joblib_says_that_a_worker_was_killed():
    """experiments: what joblib raises then has no public name."""
    module = importlib.import_module("joblib.externals.loky.process_executor")
    assert issubclass(module.TerminatedWorkerError, RuntimeError)


PARTS = {
    "_compile_loss": each_compilation_has_a_loss_of_its_own,
    "_metrics": a_model_lists_metrics_of_its_own,
    "_keras_logits": a_softmax_leaves_its_logits,
    "keras.src.backend.common.masking": a_mask_reaches_the_reduction_of_a_loss,
    "keras.src.backend.common.symbolic_scope": asked_for_shapes_alone_a_function_can_tell,
    "_track_variable": an_optimizer_lists_what_it_is_told_to_track,
    "_untrack_variable": an_optimizer_lists_what_it_is_told_to_track,
    "_trainable_variables": a_built_optimizer_knows_its_trainable_variables,
    "_reduction_axes": batch_normalization_knows_the_axes_that_it_reduces,
    "joblib.externals.loky.process_executor": joblib_says_that_a_worker_was_killed,
}


def small_model():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])


@pytest.mark.parametrize("part", PARTS)
def test_a_private_part_does_what_it_is_used_for(part):
    PARTS[part]()


def test_these_are_all():
    trees = [ast.parse(path.read_text("utf-8")) for path in SOURCES]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and node.attr != "_compile_loss"
    }
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    used |= {
        getattr(node.args[1], "value", "")
        for node in nodes
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr", "setattr")
    }
    private = {name for name in used - own if name.startswith("_") and not name.startswith("__")}
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    modules |= {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    private |= {module for module in modules if {"src", "externals", "python"} & {*module.split(".")}}
    assert private - {"_exit", "_hash"} == set(PARTS)  # os._exit is public, and a Theta sets its own _hash
