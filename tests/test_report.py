"""Tables of results."""

import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.stats

from pls_keras.experiments.results import read_results
from pls_keras.reports import paper
from pls_keras.reports.comparison import (
    adjust_by_holm,
    compare_methods,
    describe_difference,
    detectable_errors,
    format_comparison,
    significance,
)
from pls_keras.reports.effects import effects_text
from pls_keras.reports.pictures import draw_mistakes, draw_report
from pls_keras.reports.tables import (
    REPORTS,
    compare_with_paper,
    format_report,
    load_results,
    results_of_curves,
    whole_seeds,
)

METHODS = ("NoLS", "ULS", "SEMLS")


def scores_of(values):
    """A row a run: `values` maps a method to its scores over seeds 0, 1, …"""
    rows = [(m, s, v) for m, scores in values.items() for s, v in enumerate(scores)]
    return pd.DataFrame(rows, columns=["method", "seed", "accuracy"])


def results_of(dataset, classes="", fold_effect=0.05, **gains):
    """Results of five folds, as `RunStore.results` gives them."""
    rng = np.random.default_rng(0)
    rows = []
    for method in METHODS:
        for fold in range(5):
            run = {
                "key": f"{dataset}{classes}{method}{fold}",
                "dataset": dataset,
                "classes": classes,
                "method": method,
                "fold": fold,
                "sample": 0,
                "seed": fold,
                "smoothing_ratio": 0.1,
                "model": "LSTM",
                "vectors": "glove",
                "scale": "paper",
                "hardware": "2 cores",
                "seconds": 36.0,
            }
            score = 0.5 + fold_effect * fold + gains.get(method, 0) + 0.001 * rng.normal()
            metrics = {"macro_f1": score, "ece": 0.05, "nll": 1.2, "fraction": 0.54}
            rows += [{**run, "metric": m, "value": v} for m, v in metrics.items()]
    return pd.DataFrame(rows)


def test_without_overlap_the_test_is_the_paired_t_test():
    rng = np.random.default_rng(1)
    values = {"NoLS": rng.normal(size=7), "ULS": rng.normal(0.5, size=7)}
    compared = compare_methods(scores_of(values), "accuracy")
    expected = scipy.stats.ttest_rel(values["ULS"], values["NoLS"])
    assert compared.loc["ULS", "p"] == pytest.approx(expected.pvalue)
    difference, margin = compared.loc["ULS", ["difference", "margin"]]
    interval = difference - margin, difference + margin
    assert interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert compared.loc["ULS", "difference"] == pytest.approx((values["ULS"] - values["NoLS"]).mean())
    assert compared.loc["ULS", "std"] == pytest.approx(values["ULS"].std(ddof=1))
    assert np.isnan(compared.loc["NoLS", "p"])


def test_overlap_of_folds_widens_the_variance_as_nadeau_and_bengio_say():
    values = {"NoLS": [0.50, 0.52, 0.51, 0.55, 0.50], "ULS": [0.53, 0.53, 0.52, 0.57, 0.54]}
    compared = compare_methods(scores_of(values), "accuracy", overlap=1 / 4)
    differences = np.subtract(values["ULS"], values["NoLS"])
    t = differences.mean() / (differences.std(ddof=1) * np.sqrt(1 / 5 + 1 / 4))
    assert compared.loc["ULS", "p"] == pytest.approx(2 * scipy.stats.t.sf(t, df=4))
    assert compared.loc["ULS", "p"] > compare_methods(scores_of(values), "accuracy").loc["ULS", "p"]


def test_pairs_are_matched_by_seed_and_not_by_order():
    scores = scores_of({"NoLS": [0.1, 0.2, 0.3], "ULS": [0.2, 0.3, 0.5]})
    shuffled = scores.sample(frac=1, random_state=3)
    ordered = compare_methods(scores, "accuracy").loc["ULS", "p"]
    assert compare_methods(shuffled, "accuracy").loc["ULS", "p"] == pytest.approx(ordered)


def test_methods_with_other_seeds_are_an_error():
    with pytest.raises(ValueError, match="Every method must have the same seed"):
        compare_methods(scores_of({"NoLS": [0.1, 0.2], "ULS": [0.2]}), "accuracy")


@pytest.mark.parametrize("values", [[0.4], [0.4, 0.4, 0.4]])
def test_where_there_is_no_spread_there_is_no_p(values):
    compared = compare_methods(scores_of({"NoLS": [0.3] * len(values), "ULS": values}), "accuracy")
    assert compared["p"].isna().all()


def test_a_printed_comparison_stars_what_differs():
    values = {"NoLS": [0.50, 0.51, 0.52], "ULS": [0.60, 0.612, 0.618], "CLS": [0.49, 0.53, 0.51]}
    lines = format_comparison(scores_of(values), {"accuracy": ("accuracy, %", 100, 1)}).splitlines()
    assert lines[0].split() == ["accuracy,", "%"]
    assert lines[1].split() == ["NoLS", "51.0", "±", "1.0"]
    assert lines[2].split() == ["ULS", "61.0", "±", "0.9*"]
    assert "*" not in lines[3]


def test_the_sentence_says_noise_difference_or_too_few():
    noise = compare_methods(scores_of({"NoLS": [0.5, 0.52, 0.51], "ULS": [0.51, 0.5, 0.52]}), "accuracy")
    assert "within noise" in describe_difference(noise, "accuracy")
    clear = compare_methods(scores_of({"NoLS": [0.5, 0.52, 0.51], "ULS": [0.6, 0.62, 0.615]}), "accuracy")
    assert "beyond noise for ULS +0.1" in describe_difference(clear, "accuracy")
    assert "Holm" not in describe_difference(clear, "accuracy")  # one comparison needs no correction
    one = compare_methods(scores_of({"NoLS": [0.5], "ULS": [0.6]}), "accuracy")
    assert "say nothing" in describe_difference(one, "accuracy")


@pytest.mark.parametrize(
    ("p", "left"),
    [
        ([0.002, 0.2, 0.01], "A, C"),  # 0.006, 0.2, 0.02
        ([0.03, 0.04, 0.045], "none"),  # 0.09 at first, and so never less after it
        ([0.03, 0.9, 0.9], "none"),
    ],
)
def test_the_sentence_corrects_for_several_comparisons_as_holm_does(p, left):
    compared = pd.DataFrame({"difference": 0.1, "n": 5.0, "p": [np.nan, *p]}, index=["NoLS", *"ABC"])
    assert f"for there being 3 leaves {left}." in describe_difference(compared, "accuracy")


@pytest.mark.parametrize("significance", [0.05, 0.05 / 7])
@pytest.mark.parametrize("n", [3, 5, 15])
def test_a_test_finds_the_detectable_difference_in_four_of_five_experiments(n, significance):
    rng = np.random.default_rng(n)
    differences = rng.normal(detectable_errors(n, significance) / np.sqrt(n), 1, size=(40_000, n))
    found = scipy.stats.ttest_1samp(differences, 0, axis=1).pvalue < significance
    assert found.mean() == pytest.approx(0.8, abs=0.01)


def test_what_a_report_could_have_seen_is_also_said_after_holms_correction():
    results = results_of("tec")
    text = format_report(results, REPORTS["table2"])
    alone, corrected = map(float, re.search(r"of (\S+) \((\S+)\) in macro F1", text).groups())
    detectable = compare_with_paper(results, REPORTS["table2"])["detectable"]
    assert alone == pytest.approx(np.sqrt((detectable**2).mean()), rel=0.05)
    ratio = detectable_errors(5, 0.05 / 2) / detectable_errors(5)
    assert 1.1 < corrected / alone == pytest.approx(ratio, rel=0.05)
    assert "Holm's correction for there being 2, if no other method differs." in text
    two = format_report(results[results["method"] != "SEMLS"], REPORTS["table2"])
    assert re.search(r"finds a difference of [\d.]+ in macro F1 in four of five .*80 %\)\.\n", two)


def test_what_a_comparison_could_detect_is_in_the_metrics_unit():
    compared = compare_methods(scores_of({"NoLS": [0.1, 0.2, 0.4], "ULS": [0.2, 0.3, 0.6]}), "accuracy")
    error = np.std([0.1, 0.1, 0.2], ddof=1) / np.sqrt(3)
    assert compared.loc["ULS", "detectable"] == pytest.approx(error * detectable_errors(3))


def test_holms_correction_keeps_the_order_and_leaves_out_what_was_not_tested():
    p = pd.Series({"CLS": 0.02, "NoLS": np.nan, "ULS": 0.9, "SEMLS": 0.025})
    adjusted = adjust_by_holm(p)
    assert list(adjusted.index) == list(p.index)
    assert adjusted.dropna().to_dict() == pytest.approx({"CLS": 0.06, "ULS": 0.9, "SEMLS": 0.06})


def test_pairs_are_of_one_kind_of_machine():
    results = results_of("tec", ULS=0.02)
    results.loc[(results["fold"] == 4) & (results["method"] == "ULS"), "hardware"] = "another"
    table = compare_with_paper(results, REPORTS["table2"])
    assert set(table["n"]) == {4}
    assert "- Runs not counted: 3, whose" in format_report(results, REPORTS["table2"])
    whole = results.assign(hardware=results["fold"].map(lambda fold: "another" if fold > 2 else "one"))
    assert set(compare_with_paper(whole, REPORTS["table2"])["n"]) == {5}
    assert "Runs not counted" not in format_report(whole, REPORTS["table2"])


def scores_of_mistakes(runs, **gains):
    """A table a score of mistakes, with what SEMLS gains in it."""
    rng = np.random.default_rng(1)
    for metric in ("cluster_accuracy", "mistakes_in_cluster", "cluster_share", "mistake_severity"):
        gain = gains.get(metric, 0) * (runs["method"] == "SEMLS")
        yield runs.assign(metric=metric, value=0.7 + gain + 0.001 * rng.normal(size=len(runs)))


def table1_results(seeds):
    """Results of Table 1: ResNet-18 of all seeds, ResNet-34 of the first `seeds`."""
    runs = results_of("cifar100").query("metric == 'macro_f1'")
    runs = runs.assign(model="ResNet18", scale="reduced", metric="accuracy")
    few = runs[runs["seed"] < seeds].assign(key="34" + runs["key"], model="ResNet34")
    both = pd.concat([runs, few])
    calibration = [both.assign(metric=metric) for metric in ("ece", "nll")]
    return pd.concat([both, *calibration, *scores_of_mistakes(both)])


def test_the_picture_of_mistakes_says_how_many_seeds_each_row_has():
    results = table1_results(2)
    axes = draw_mistakes(results, REPORTS["table1"])
    seeds = results["seed"].nunique(), 2
    rows = [f"CIFAR-100\nResNet-{depth}\n{n} seeds" for depth, n in zip((18, 34), seeds, strict=True)]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == rows
    plt.close(axes[0, 0].figure)


def test_of_a_single_seed_a_difference_is_shown_and_nothing_said(tmp_path):
    results = table1_results(1)
    results.to_csv(tmp_path / "table1.csv", index=False)
    text = format_report(results, REPORTS["table1"])
    assert text.count("ResNet-34: n = 1: differences in accuracy say nothing") == 1
    rows = [line.split(" | ") for line in effects_text(tmp_path, ["reduced"]).splitlines()]
    verdicts = {row[2]: row[-1] for row in rows if row[1:2] == ["accuracy, %"]}
    assert verdicts["CIFAR-100, ResNet-34"] == "says nothing yet |"
    assert verdicts["CIFAR-100, ResNet-18"] == "within noise |"
    assert not any("nan" in cell for row in rows for cell in row)
    axes = draw_mistakes(results, REPORTS["table1"])
    labels = [f"CIFAR-100\nResNet-18\n{results['seed'].nunique()} seeds"]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == labels
    assert draw_mistakes(results[results["model"] == "ResNet34"], REPORTS["table1"]) is None
    plt.close(axes[0, 0].figure)


def test_mistakes_are_compared_metric_by_metric_where_they_were_scored():
    results = (
        results_of("goemotions", ULS=0.0).query("metric == 'macro_f1'").drop(columns=["metric", "value"])
    )
    parts = [results_of("goemotions"), *scores_of_mistakes(results, cluster_accuracy=0.02)]
    text = format_report(pd.concat(parts), REPORTS["goemotions"])
    rows = [line for line in text.splitlines() if line.startswith("| GoEmotions | SEMLS |")]
    assert re.search(r"\| 7[12]\.\d\d ± 0\.\d\d \* \|", rows[1])
    assert rows[1].count("*") == 1
    assert re.search(r"cluster accuracy differs from NoLS beyond noise for SEMLS \+[12]", text)
    assert re.search(
        r"finds a difference of \S+ \(\S+\) in macro F1, \S+ \(\S+\) in cluster accuracy", text
    )
    short = format_report(pd.concat(parts), REPORTS["goemotions"], details=False)
    assert "cluster accuracy differs" not in short
    assert rows[1] in short
    assert "Which mistakes" not in format_report(results_of("goemotions"), REPORTS["goemotions"])


def test_a_run_that_diverged_is_in_no_mean_and_is_named():
    results = results_of("isear", ULS=0.02)
    gone = (results["method"] == "ULS") & (results["fold"] == 3)
    first = results[gone].iloc[[0]].assign(metric="diverged", value=2)
    results = pd.concat([results[~gone], first])
    text = format_report(results, REPORTS["table2"])
    assert "- Diverged, and in no mean: ISEAR ULS seed 3." in text
    assert "- Runs not counted: 2, whose" in text
    assert set(compare_with_paper(results, REPORTS["table2"])["n"]) == {4}


def test_reliability_diagrams_pool_the_runs_that_the_table_counts(tmp_path, monkeypatch):
    runs = [(method, seed) for seed in range(2) for method in METHODS][:-1]  # the second is not whole
    bins = pd.DataFrame(runs, columns=["method", "seed"]).assign(key=range(len(runs)), scale="lab")
    bins = bins.assign(dataset="cifar10", model="ResNet18", classes="", bin=0, samples=10, confidence=0.5)
    bins["accuracy"] = bins["seed"].map({0: 0.25, 1: 0.75})
    bins.to_csv(tmp_path / "table1_reliability.csv", index=False)
    bins.assign(metric="accuracy").to_csv(tmp_path / "table1.csv", index=False)
    drawn = []
    with monkeypatch.context() as patch:
        patch.setattr(plt, "close", drawn.append)
        draw_report("table1", "lab", tmp_path, tmp_path)
    [ax] = drawn[0].axes
    points = {line.get_label(): line.get_xydata().tolist() for line in ax.lines[1:]}
    assert points == {method: [[0.5, 0.25]] for method in METHODS}
    plt.close(drawn[0])


def test_reliability_diagrams_stand_in_the_papers_order(tmp_path, monkeypatch):
    runs = list(itertools.product(("cifar100", "cifar10"), ("ResNet34", "ResNet18"), METHODS))
    bins = pd.DataFrame(runs, columns=["dataset", "model", "method"]).assign(key=range(len(runs)))
    bins = bins.assign(scale="lab", classes="", seed=0, bin=0, samples=10, confidence=0.5, accuracy=0.5)
    bins.to_csv(tmp_path / "table1_reliability.csv", index=False)
    bins.assign(metric="accuracy").to_csv(tmp_path / "table1.csv", index=False)
    drawn = []
    with monkeypatch.context() as patch:
        patch.setattr(plt, "close", drawn.append)
        draw_report("table1", "lab", tmp_path, tmp_path)
    titles = [ax.get_title().replace("\n", ", ") for ax in drawn[0].axes]
    assert titles == list(paper.TABLE1["row"].unique())
    plt.close(drawn[0])


def test_only_whole_seeds_of_curves_are_compared():
    cells = itertools.product(METHODS, (0.1, 0.01), range(3), (1, 2))
    curves = pd.DataFrame(cells, columns=["method", "learning_rate", "seed", "epoch"])
    curves["hardware"] = "one"
    assert len(whole_seeds(curves)) == len(curves)
    late = (curves["seed"] == 2) & (curves["learning_rate"] == 0.01) & (curves["method"] == "ULS")
    assert set(whole_seeds(curves[~late])["seed"]) == {0, 1}
    with pytest.raises(ValueError, match="No seed or fold is finished for every method"):
        whole_seeds(curves[curves["method"].map(METHODS.index) != curves["seed"]])  # each lacks another
    curves.loc[late, "hardware"] = "another"
    assert set(whole_seeds(curves)["seed"]) == {0, 1}


def test_ours_stand_beside_the_papers_in_its_order():
    results = pd.concat([results_of("tec", ULS=0.02), results_of("isear")])
    table = compare_with_paper(results, REPORTS["table2"])
    assert table["row"].tolist() == ["ISEAR"] * 3 + ["TEC"] * 3
    assert table["method"].tolist() == [*METHODS, *METHODS]
    uls = table.query("row == 'TEC' and method == 'ULS'").iloc[0]
    assert uls["n"] == 5
    assert uls["mean"] == pytest.approx(62, abs=0.2)
    assert uls["difference"] == pytest.approx(2, abs=0.2)
    assert uls["p"] < 0.05
    stated = paper.TABLE2.query("row == 'TEC' and method == 'ULS'").iloc[0]
    assert (uls["paper_mean"], uls["paper_std"]) == (stated["mean"], stated["std"]) == (51.84, 3.31)


def test_table3_counts_classes_and_pools_samples():
    three = [results_of("cbet", "anger+fear+joy"), results_of("cbet", "love+fear+joy").assign(sample=1)]
    results = pd.concat([*three, results_of("cbet", "anger+fear+joy+love+guilt")])
    table = compare_with_paper(results, REPORTS["table3"])
    assert table["row"].tolist() == ["3 classes"] * 3 + ["5 classes"] * 3
    assert table["n"].tolist() == [10] * 3 + [5] * 3
    assert table["paper_mean"].tolist() == paper.TABLE3["mean"].tolist()[:6]


def test_a_report_says_what_it_stands_on():
    text = format_report(results_of("cbet", SEMLS=0.03), REPORTS["table2"])
    assert re.search(r"\| CBET \| SEMLS \| 5 \| 6[23]\.\d\d ± 7\.\d\d \| 57.02 ± 3.23 \|", text)
    assert re.search(r"CBET: macro F1 differs from NoLS beyond noise for SEMLS \+(2\.9|3)", text)
    assert "54% of the whole file" in text
    assert "- SEMLS on CBET: an earlier theta" in text
    assert "earlier theta" not in format_report(results_of("cbet").assign(theta="1a2b"), REPORTS["table2"])
    assert text.endswith("; 2 cores; 15 runs, 0.1 hours of training in all.")
    both = [results_of("cbet"), results_of("tec").assign(hardware="a GPU")]
    notes = format_report(pd.concat(both), REPORTS["table2"]).splitlines()[-3:]
    assert notes[0].endswith("scale paper; 30 runs, 0.3 hours of training in all.")
    assert notes[1:] == ["- CBET: 15 runs; 2 cores.", "- TEC: 15 runs; a GPU."]
    seeds = results_of("cbet").assign(hardware=lambda runs: np.where(runs["seed"] < 2, "2 cores", "a GPU"))
    notes = format_report(seeds, REPORTS["table2"]).splitlines()[-2:]
    assert notes == ["- 6 runs; 2 cores.", "- 9 runs; a GPU."]
    without = format_report(results_of("goemotions"), REPORTS["goemotions"])
    assert "the paper's" not in without.split("\n\n")[1]


def test_the_papers_tables_have_every_cell():
    assert [len(table) for table in (paper.TABLE1, paper.TABLE2, paper.TABLE3)] == [14, 9, 9]
    assert paper.TABLE2["mean"].max() == 59.06
    assert paper.TABLE1.set_index(["row", "method"]).loc[("CIFAR-100, ResNet-34", "CLS"), "mean"] == 72.813


def test_beyond_the_paper_methods_are_also_tested_against_uls():
    results = results_of("goemotions", ULS=0.02, SEMLS=0.04)
    text = format_report(results, REPORTS["goemotions"])
    against_nols, against_uls, _ = (line for line in text.splitlines() if line.startswith("- GoEmotions:"))
    assert re.search(r"from NoLS beyond noise for ULS \+\S+ \(p \S \S+\), SEMLS \+[34]", against_nols)
    assert re.search(r"from ULS beyond noise for NoLS -\S+ \(p \S \S+\), SEMLS \+[12]", against_uls)


def test_image_rows_are_dataset_and_network_beside_the_papers():
    results = results_of("cifar10", ULS=0.1).assign(model="ResNet34", scale="lab")
    results["metric"] = results["metric"].replace("macro_f1", "accuracy")
    text = format_report(results, REPORTS["table1"])
    assert re.search(
        r"\| CIFAR-10, ResNet-34 \| ULS \| 5 \| 70\.\d\d ± 7.\d\d \| 93.56 ± 0.61 \| \+10", text
    )
    assert "accuracy differs from NoLS beyond noise for ULS" in text
    assert "scale lab" in text


def test_a_row_that_no_seed_has_finished_is_left_out():
    results = pd.concat([results_of("isear"), results_of("tec").query("method == 'NoLS' or fold < 0")])
    results = results[~((results["dataset"] == "isear") & (results["fold"] > 2))]
    results = results[
        ~((results["dataset"] == "isear") & (results["method"] == "ULS") & (results["fold"] == 2))
    ]
    table = compare_with_paper(results.query("dataset == 'isear'"), REPORTS["table2"])
    assert set(table["n"]) == {2}
    alone = results_of("tec").query("(fold == 0) == (method == 'NoLS')")
    with pytest.raises(ValueError, match="Let the sweep go on"):
        compare_with_paper(alone, REPORTS["table2"])


def test_curves_become_scores_of_their_last_epoch_and_the_mean_gradient_norm():
    curves = pd.DataFrame(
        [
            {
                "key": f"{method}{rate}{seed}",
                "dataset": "cifar100",
                "method": method,
                "learning_rate": rate,
                "seed": seed,
                "epoch": epoch,
                "seconds": 1.0,
                "grad_norm": epoch + seed,
                "generalization_error": epoch / 10,
                "train_accuracy": 0.5,
                "test_accuracy": 0.25,
            }
            for method in METHODS
            for rate in (0.1, 0.01)
            for seed in range(3)
            for epoch in (1, 2, 3)
        ]
    )
    results = results_of_curves(curves)
    one = results[(results["key"] == "ULS0.011")].set_index("metric")["value"]
    assert one.to_dict() == pytest.approx(
        {"generalization_error": 0.3, "grad_norm": 3.0, "train_accuracy": 0.5, "test_accuracy": 0.25}
    )
    table = compare_with_paper(results, REPORTS["figure5"])
    assert table["row"].tolist() == ["learning rate 0.1"] * 3 + ["learning rate 0.01"] * 3
    assert table["mean"].tolist() == [3.0] * 6
    assert "18 runs" in format_report(results, REPORTS["figure5"])


@pytest.mark.parametrize(
    ("p", "text"), [(0.0004, "p < 0.001"), (0.0496, "p = 0.050"), (0.23, "p = 0.230"), (np.nan, "p = nan")]
)
def test_significance_reads_as_in_a_paper(p, text):
    assert significance(p) == text


def test_results_that_are_not_there_are_an_error_that_names_their_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No results of table1 at scale lab in .*table1\.csv"):
        load_results("table1", "lab", tmp_path)
    run = {"key": "a", "dataset": "cifar10", "method": "NoLS", "seed": 0, "scale": "paper"}
    pd.DataFrame([run]).to_csv(tmp_path / "table1.csv", index=False)
    with pytest.raises(FileNotFoundError, match="at scale lab"):
        load_results("table1", "lab", tmp_path)
    assert load_results("table1", "paper", tmp_path)["key"].tolist() == ["a"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not a CSV file: No columns"),
        ("hello", "lacks the columns ['key', 'dataset', 'method', 'seed', 'scale']"),
        ("key,dataset,method,scale\na,cifar10,NoLS,paper\n", "lacks the columns ['seed']"),
    ],
)
def test_what_is_no_table_of_results_is_named(tmp_path, content, said):
    (tmp_path / "table1.csv").write_text(content)
    with pytest.raises(ValueError, match=rf"{re.escape(str(tmp_path))}.table1\.csv .*{re.escape(said)}"):
        load_results("table1", "paper", tmp_path)
    with pytest.raises(ValueError, match=re.escape(said)):
        read_results(tmp_path, "table1", [])
