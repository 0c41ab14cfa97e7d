"""Training on images: the same run, however often it is stopped."""

import dataclasses
import functools

import keras
import numpy as np
import pandas as pd
import pytest

from pls_keras.experiments.hardware import accelerator, fastest_way
from pls_keras.experiments.image_training import (
    build_image_model,
    cut,
    load_images,
    train_on_images,
)
from pls_keras.experiments.runner import execute
from pls_keras.experiments.specs import ImageRun
from pls_keras.experiments.store import RunStore

pytestmark = pytest.mark.usefixtures("one_block")

RUN = ImageRun(
    dataset="digits",
    method="SEMLS",
    model="ResNet8",
    width=4,
    epochs=4,
    batch_size=32,
    train_images=96,
    eval_images=64,
    learning_rate=0.05,
    augment=True,
)
PROTOCOLS = [RUN, dataclasses.replace(RUN, keep_best=True, drops=(1, 3), weight_decay=5e-4)]
LEARNED = [dataclasses.replace(PROTOCOLS[1], method=method) for method in ("Online", "confusion")]
TIMES = ["seconds"]


@functools.cache
def undisturbed(run, resident):
    """Curves and result of a run from its first epoch to its last."""
    return train_on_images(run, resident=resident)


class StopBefore(keras.callbacks.Callback):
    """Breaks off within an epoch, as a power cut does."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("run", PROTOCOLS + LEARNED, ids=["figures", "table1", "Online", "confusion"])
def test_a_run_stopped_twice_ends_as_one_that_was_not(run, tmp_path):
    curves, result = undisturbed(run, accelerator() is not None)
    for epoch in np.sort(np.random.default_rng().choice(4, 2, replace=False)):
        with pytest.raises(KeyboardInterrupt):
            train_on_images(run, folder=tmp_path / "run", callbacks=[StopBefore(epoch)])
    resumed, resumed_result = train_on_images(run, folder=tmp_path / "run")
    pd.testing.assert_frame_equal(resumed.drop(columns=TIMES), curves.drop(columns=TIMES), rtol=1e-3)
    scores = result["scores"]
    for name in set(scores) - {"images_per_second"}:
        assert resumed_result["scores"][name] == pytest.approx(scores[name], rel=1e-3, abs=1e-6)
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore:No samples of")  # where all validation images are of one class
def test_a_run_of_confusion_learns_theta_from_validation_images_alone():
    run, seen = LEARNED[1], []

    class Theta(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(self.model.loss.theta)
            raise KeyboardInterrupt

    images = load_images(run)
    blind = dataclasses.replace(images, x_test=np.zeros_like(images.x_test), y_test=images.y_test * 0)
    mistaken = dataclasses.replace(images, y_val=images.y_val * 0)
    for given in (images, blind, mistaken):
        with pytest.raises(KeyboardInterrupt):
            train_on_images(run, given, callbacks=[Theta()])
    thetas = np.array(seen)
    np.testing.assert_allclose(thetas[0], thetas[1], rtol=1e-4)
    assert np.abs(thetas[0] - thetas[2]).max() > 0.01
    assert seen[0].provenance["samples"] == len(images.y_val)


def test_curves_one_epoch_ahead_of_the_weights_are_taken_back(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_on_images(RUN, folder=tmp_path, callbacks=[StopBefore(2)])
    curves = pd.read_csv(tmp_path / "curves.csv")
    ahead = curves.iloc[[-1]].assign(epoch=3, steps=9, loss=np.nan)
    pd.concat([curves, ahead]).to_csv(tmp_path / "curves.csv", index=False)
    (tmp_path / "draft.weights.h5").write_bytes(b"cut short")
    resumed, _ = train_on_images(RUN, folder=tmp_path)
    assert resumed["epoch"].tolist() == [1, 2, 3, 4]
    assert resumed["loss"].notna().all()


def test_the_best_weights_are_those_of_the_least_validation_cross_entropy():
    run = dataclasses.replace(PROTOCOLS[1], learning_rate=0.5, drops=(), epochs=3)
    images, seen = load_images(run), {}

    class Test(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            x, y = images.x_test, images.y_test
            seen[epoch + 1] = self.model.evaluate(x, y, batch_size=256, verbose=0, return_dict=True)

    curves, result = train_on_images(run, images, callbacks=[Test()])
    scores = result["scores"]
    assert scores["epoch"] == curves["val_nll"].argmin() + 1
    assert scores["accuracy"] == pytest.approx(seen[scores["epoch"]]["accuracy"])


def test_test_images_are_not_looked_at_before_the_end_where_weights_are_chosen():
    images = load_images(PROTOCOLS[1])
    blind = dataclasses.replace(images, x_test=np.zeros_like(images.x_test))
    curves, result = undisturbed(PROTOCOLS[1], accelerator() is not None)
    same, others = train_on_images(PROTOCOLS[1], blind)
    pd.testing.assert_frame_equal(curves.drop(columns=TIMES), same.drop(columns=TIMES), rtol=1e-3)
    assert others["scores"]["nll"] != result["scores"]["nll"]


def test_the_learning_rate_falls_tenfold_after_its_epochs():
    run = dataclasses.replace(RUN, drops=(1, 3))
    model, _ = build_image_model(run, load_images(run))
    schedule = model.optimizer._learning_rate
    rates = [float(schedule(step)) for step in (0, 2, 4, 8, 10)]
    np.testing.assert_allclose(rates, [0.05, 0.05, 0.005, 0.005, 0.0005], rtol=1e-6)


def test_a_cut_has_the_classes_in_equal_shares():
    y = np.repeat([0, 1, 2], [50, 30, 20])
    x, kept = cut(np.arange(100), y, 10)
    assert np.bincount(kept).tolist() == [5, 3, 2]
    assert (y[x] == kept).all()
    assert cut(x, kept, None)[0] is x


def test_a_mixed_precision_run_computes_in_bfloat16_and_leaves_the_policy_as_it_was():
    run = dataclasses.replace(RUN, precision="mixed_bfloat16")
    model, _ = build_image_model(run, load_images(run))
    backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    assert backbone.get_layer("stem_conv").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_a_result_says_what_auto_chose(tmp_path):
    run = dataclasses.replace(RUN, epochs=1, precision="auto")
    curves, result = train_on_images(run)
    way = fastest_way()
    assert result["way"] == {"precision": way.precision, "jit_compile": way.jit_compile}
    store = RunStore(tmp_path)
    store.write(run, curves, {**result, "seconds": 1.0, "hardware": "2 cores", "backend": "tensorflow"})
    for table in (store.results([run]), store.histories([run])):
        assert set(table["precision"]) == {way.precision}
        assert set(table["jit_compile"]) == {way.jit_compile}


def test_images_on_the_device_change_no_number(tmp_path):
    run = PROTOCOLS[1]
    curves, result = undisturbed(run, False)
    with pytest.raises(KeyboardInterrupt):
        train_on_images(run, folder=tmp_path / "run", callbacks=[StopBefore(2)], resident=True)
    images = load_images(run)
    sizes = [path.stat().st_size for path in (tmp_path / "run").glob("*.h5")]
    assert sizes
    assert max(sizes) < images.x_train.nbytes + images.x_val.nbytes + images.x_test.nbytes
    resident, resident_result = train_on_images(run, folder=tmp_path / "run", resident=True)
    pd.testing.assert_frame_equal(resident.drop(columns=TIMES), curves.drop(columns=TIMES), rtol=1e-3)
    assert resident_result["scores"]["nll"] == pytest.approx(result["scores"]["nll"], rel=1e-3)


def test_a_model_with_its_images_on_the_device_is_saved_without_them(tmp_path):
    images = load_images(RUN)
    model, positions = build_image_model(RUN, images, resident=True)
    model.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="all are black until"):
        loaded = keras.saving.load_model(tmp_path / "m.keras")
    everything = np.concatenate([images.x_train, images.x_val, images.x_test])
    loaded.get_layer("images_on_device").assign(everything)
    at = positions.x_test[:3]
    np.testing.assert_allclose(loaded(at), model(at), rtol=1e-5)
    direct, _ = build_image_model(RUN, images)
    np.testing.assert_allclose(direct(images.x_test[:3]), model(at), rtol=1e-5)
    assert (tmp_path / "m.keras").stat().st_size < everything.nbytes


@pytest.mark.parametrize("keep_best", [True, False])
def test_a_run_that_diverges_ends_there_and_says_so(tmp_path, keep_best):
    store = RunStore(tmp_path)
    run = dataclasses.replace(RUN, method="ULS", learning_rate=1e20, keep_best=keep_best)
    store.write(*execute(run, unfinished=str(tmp_path / ".unfinished")))
    [row] = store.results([run]).to_dict("records")
    assert row["metric"] == "diverged"
    curves = store.histories([run])
    assert row["value"] == len(curves) < 4
    assert curves["loss"].isna().tolist() == [False] * (len(curves) - 1) + [True]
    assert store.reliability([run]).empty
    assert not list((tmp_path / ".unfinished").glob("*"))
