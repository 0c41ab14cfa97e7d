"""`pls_keras bench`: measure the speed of the loss, of GradientNorm and of training."""

from pls_keras.cli.arguments import positive
from pls_keras.experiments.benchmarks.texts import bench_texts
from pls_keras.experiments.benchmarks.training import bench_gradient_norm, bench_loss, bench_training


def add_arguments(parser):
    """Add the options of `bench`."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=["all", "loss", "gradient_norm", "training", "texts"],
        default="all",
        help="all is loss and gradient_norm; training: ResNets; texts: a sample of Table 2 (all)",
    )
    parser.add_argument("--rounds", type=positive, help="rounds of loss and gradient_norm (15)")
    parser.add_argument("--model", choices=["ResNet18", "ResNet34"], default="ResNet18", help="(ResNet18)")
    parser.add_argument("--width", type=positive, default=16, help="of training: channels (16)")
    parser.add_argument("--images", type=positive, default=1024, help="of training: an epoch (1024)")
    parser.add_argument(
        "--precision",
        choices=["float32", "mixed_bfloat16"],
        nargs="+",
        default=["float32", "mixed_bfloat16"],
        help="of training: dtype policies (both)",
    )
    parser.add_argument("--vectors", help="of texts: file or gensim name (glove-wiki-gigaword-300)")
    parser.set_defaults(run=_run)


def _run(options):
    rounds = {"rounds": options.rounds} if options.rounds else {}
    if options.what in ("all", "loss"):
        print("\nLoss and gradient, compiled, against Keras's sparse cross-entropy")
        print(bench_loss(**rounds).round(3).to_string(index=False))
    if options.what in ("all", "gradient_norm"):
        table = bench_gradient_norm(**rounds)
        print("\nAn epoch of ResNet-18 at width 16 with GradientNorm against one without")
        print(table.round(3).to_string(index=False))
        print(f"median ratio {table['ratio'].median():.3f}")
    if options.what == "texts":
        print("\nTwo runs of Table 2 of one epoch each: as a sweep, and the straightforward way")
        table = bench_texts(options.vectors or "glove-wiki-gigaword-300")
        print(table.round(2).to_string(index=False))
        whole = table["straightforward_seconds"].sum() / table["seconds"].sum()
        print(f"ratio of the whole {whole:.2f}")
    if options.what == "training":
        table = bench_training(
            options.model, width=options.width, images=options.images, precisions=options.precision
        )
        print(f"\n{options.model} at width {options.width}, batches of 128: images a second in fit")
        print(table.round(1).to_string(index=False))
