"""A report's words in English."""

from __future__ import annotations

ENGLISH = {
    "title": "Comparison: {rows} configurations, {runs} runs",
    "unknown": "unknown",
    "no_git": "not a git checkout",
    "fact.command": "command: `{text}`",
    "fact.sweep": "sweep: {name} (MLflow run {id})",
    "fact.all": "runs: all of the store",
    "fact.where": "where: `{where}`; {left_out} other runs do not fit it",
    "fact.data": "data: {name}, digest {digest}",
    "fact.images": "test images: {count}{once}",
    "once_a_run": ", read once a run",
    "fact.skipped": "images left out, as they could not be read: {count} (skipped_images.txt)",
    "fact.shared": (
        "**test images that are also among the training or validation images, file for file:"
        " {count}**; the accuracies are too good"
    ),
    "fact.weights": "weights: {name}, digest {digest}",
    "fact.seeds": "seeds: {seeds}",
    "fact.device": "device: {device}, {precision}, {threads} threads",
    "fact.versions": "versions: {text}",
    "fact.commit": "git commit: {text}",
    "fact.repeated": "{count} runs repeat the result of a later one, which counts",
    "parts": (
        "These runs were tested on {count} different sets of images, which cannot be ranked"
        " together: each has its own part below."
    ),
    "section.part": "Tested on {name}: {images} images, data digest {digest}",
    "section.findings": "Findings",
    "section.ranking": "Ranking",
    "section.cost": "Cost",
    "section.pairs": "The best against the others",
    "section.unfinished": "Not finished",
    "section.transfer": "What transfer does",
    "section.constants": "The same in all runs",
    "figure.curves": "Accuracy and loss over epochs",
    "figure.iteration": "Iteration loss",
    "figure.cost": "Accuracy against cost",
    "figure.classes": "Accuracy of each class",
    "figure.confusion": "What the winner confuses",
    "figure.reliability": "How far confidence can be trusted",
    "figure.parallel": "All choices at once",
    "column.rank": "rank",
    "column.seeds": "seeds",
    "column.test/acc": "test acc %",
    "column.std": "std",
    "column.interval": "95 % interval",
    "column.interval_of": "interval over",
    "interval.seeds": "seeds",
    "interval.images": "test images",
    "interval.nothing": "–",
    "column.test/loss": "test loss",
    "column.test/ece": "ECE %",
    "column.worst_class": "worst class %",
    "column.best/val_acc": "best val acc %",
    "column.train/acc": "final train acc %",
    "column.gap": "train − test",
    "column.loss_spread": "loss spread",
    "column.profile/params": "params",
    "column.profile/trainable_params": "trainable",
    "column.profile/macs": "MACs",
    "column.profile/size_mb": "size MB",
    "column.profile/latency_ms": "latency ms",
    "column.profile/latency_p90_ms": "p90",
    "column.profile/latency_64_ms": "latency of 64 ms",
    "column.profile/latency_64_p90_ms": "p90 of 64",
    "column.profile/peak_memory_mb": "peak memory MB",
    "column.time/train_s": "train s",
    "column.throughput/train_img_s": "images/s",
    "column.device": "device",
    "device": "{device}, threads: {threads}",
    "column.configuration": "configuration",
    "column.difference": "points behind the best",
    "column.test": "test",
    "column.p": "p",
    "column.holm": "p (Holm)",
    "column.mcnemar": "p (McNemar)",
    "column.apart": "told apart",
    "column.run": "run",
    "column.overrides": "overrides",
    "column.status": "status",
    "column.error": "error",
    "column.id": "id",
    "column.passes": "passes the plain CNN",
    "column.below": "train below val",
    "column.gain": "gain over none",
    "test.seeds": "Student, {seeds} seeds",
    "test.images": "McNemar",
    "test.none": "none",
    "yes": "yes",
    "no": "no",
    "legend.ranking": (
        "Configurations share a rank when they cannot be told apart: a rank is one more than the"
        " number of configurations that are better beyond noise (95 %, Holm's correction over"
        " the {pairs} pairs that share seeds or test images). Best value of each column in bold;"
        " mean ± standard deviation where a row has several seeds."
    ),
    "legend.test/acc": "`test acc`: on the test set{once}, with the weights of {result}.",
    "once": ", read once",
    "result.best": "the epoch that was best on validation",
    "result.last": "the last epoch",
    "result.mixed": "the best epoch on validation or of the last, as `protocol.result` says",
    "legend.blurred": (
        "{names}: tested on augmented images (`protocol.augment_evaluation_of`), so the accuracy is"
        " not that on plain ones."
    ),
    "legend.stands_for": "`{leader}={value}` comes with {names}.",
    "legend.follow": "With `{leader}` change, each in its own way: {names}.",
    "legend.interval": (
        "`95 % interval`: over seeds (Student), of the mean that very many trainings would have;"
        " over test images (Wilson), for a single seed, of this one network's accuracy on all such"
        " images: it does not cover the luck of the seed."
    ),
    "legend.test/ece": (
        "`ECE`: expected calibration error, mean gap between confidence and accuracy, 15 bins."
    ),
    "legend.worst_class": "`worst class`: accuracy of the class with the lowest.",
    "legend.train/acc": (
        "`final train acc`: of the last epoch, on the images as they were trained on."
    ),
    "legend.gap": (
        "`train − test`: the one minus the other, in points; large means overfitting, and below 0"
        " that the training images were harder."
    ),
    "legend.loss_spread": (
        "`loss spread`: standard deviation of the iteration loss over the last epoch; small means"
        " stable."
    ),
    "legend.steered": (
        "Rows with `protocol.validation` = `test` let the test set steer, as the tutorial did:"
        " their accuracy is no estimate for new images."
    ),
    "legend.cost": (
        "◆ marks the Pareto front of accuracy against that cost: no other configuration is both at"
        " least as accurate and at least as cheap. `trainable`: parameters that train in the first"
        " epoch. `MACs`: multiply-accumulates of one image. `latency`: median and 90th percentile"
        " for one image and for a batch of 64. Times are of the device that is named."
    ),
    "legend.pairs": (
        "Student's paired test asks whether the recipes differ, over at least three common seeds;"
        " McNemar's exact test asks whether two trained networks of one seed differ, over the test"
        " images. `p (Holm)` is corrected for all pairs of this report."
    ),
    "legend.more": "{count} more are in report.csv.",
    "legend.passes": (
        "`passes the plain CNN`: the first epoch whose validation accuracy is above the one that"
        " `simple_cnn` ends at ({reference}), and how many epochs of full training that took."
    ),
    "legend.below": (
        "`train below val`: epochs in which training accuracy (of images as they were trained on,"
        " while the weights moved) lies below validation accuracy (after the epoch)."
    ),
    "legend.gain": (
        "`gain over none`: test accuracy above that of the same configuration from random weights"
        " (the best of those whose `freeze_epochs` alone may differ as well), in points."
    ),
    "gain.noise": "{gain}, cannot be told apart",
    "plain.reference": "{accuracy} % after {epochs} epochs",
    "plain.missing": "not among these runs",
    "passes.never": "never",
    "passes.frozen": "epoch {epoch}, still frozen",
    "passes.after": "epoch {epoch}, {after} of full training",
    "below.count": "{below} of {epochs} epochs",
    "accuracy.alone": "{accuracy} % test accuracy",
    "accuracy.seeds": (
        "{accuracy} % test accuracy (95 % interval over {seeds} seeds: {low} to {high})"
    ),
    "accuracy.images": (
        "{accuracy} % test accuracy (one seed; 95 % interval over its test images: {low} to {high})"
    ),
    "verdict.apart": "more than noise",
    "verdict.images": "more than chance on these test images",
    "verdict.reversed": "more than noise, but the other way round on what both have",
    "verdict.same": "cannot be told apart",
    "difference.unknown": "an unknown number of points: no common seed with a test accuracy",
    "difference.untested": "{points} points, untested: no common seeds or test images",
    "difference.images": (
        "{points} points: {verdict} (McNemar on one seed's test images, p {p}; the luck of the seed"
        " is not covered)"
    ),
    "difference.seeds": (
        "{points} points (95 % interval {low} to {high} over {seeds} seeds): {verdict} (p {p})"
    ),
    "and_more": " and {count} more",
    "finding.no_accuracy": "None of the {rows} configurations has a test accuracy.",
    "finding.first": "**Best by mean: `{label}`**, {accuracy}.",
    "finding.second": "Second by mean is `{label}`. The difference to it is {difference}.",
    "finding.equals": "What cannot be told apart from it, and shares rank 1: {names}.",
    "finding.chosen": (
        "Validation accuracy, which has not seen the test images, chooses it as well, among"
        " {count}: its test accuracy is not flattered by the choice."
    ),
    "finding.chosen_other": (
        "Validation accuracy, which has not seen the test images, would have chosen `{label}`,"
        " among {count}: {accuracy}. The best by mean may owe a part of its lead to having been"
        " picked on the test images."
    ),
    "finding.unbalanced": (
        "The test images are unbalanced: always to answer {name} would score {share} %. By the mean"
        " over classes, each of which counts alike, the best is `{label}` with {balanced} %."
    ),
    "finding.best_is_cheapest": (
        "No other configuration is cheaper to run than `{label}`, with {macs} multiply-accumulates"
        " an image."
    ),
    "finding.cheapest": (
        "**For a small device: `{label}`**, the cheapest to run with {macs} multiply-accumulates an"
        " image, {share} % of those of `{best}`. The difference to that one is {difference}."
    ),
    "finding.freeze": (
        "`{label}`: between freeze_epochs={better} and freeze_epochs={other}, the difference is"
        " {difference}{also}."
    ),
    "finding.weights": (
        "`{label}`: between weights={better} and weights={other}, the difference is"
        " {difference}{also}."
    ),
    "finding.size": (
        "`{label}`: between {better} px and {other} px, the difference is {difference}{also}."
    ),
    "finding.also": "; they differ in {names} as well",
    "finding.below": (
        "Training accuracy lies below validation accuracy in {rows} of {all} configurations, most"
        " in `{label}` ({below} of {epochs} epochs): {reason}."
    ),
    "reason.augmented": (
        "only training images are augmented, and they are counted while the weights still move"
    ),
    "reason.moving": "training images are counted while the weights still move",
    "finding.overfits": (
        "{rows} of {all} configurations end more than 2 points better on training than on test"
        " images, also at the upper end of their accuracy's interval; most of all `{label}`, by"
        " {gap} points."
    ),
    "finding.no_overfitting": (
        "No configuration is seen to overfit by more than 2 points: the largest gap between final"
        " training and test accuracy is {gap} points (`{label}`)."
    ),
    "finding.stability": (
        "Steadiest at the end is `{steady}` (iteration loss scatters by {least}), least steady"
        " `{unsteady}` ({most})."
    ),
    "finding.scatter": (
        "Between seeds, test accuracy scatters most in `{label}`: standard deviation {std} points"
        " over {seeds} seeds."
    ),
    "plot.epoch": "epoch",
    "plot.accuracy": "accuracy, %",
    "plot.accuracy_lines": "accuracy, % (solid: validation, dotted: train)",
    "plot.loss": "loss",
    "plot.loss_lines": "loss (solid: validation, dotted: train)",
    "plot.unfreeze": "unfreeze",
    "plot.iteration": "iteration",
    "plot.iteration_lines": "training loss (pale: raw, solid: running mean)",
    "plot.test_accuracy": "test accuracy, %",
    "plot.macs": "million MACs an image",
    "plot.latency": "latency of one image, ms",
    "plot.train_s": "training time, s",
    "plot.front": "Pareto front",
    "plot.class": "class",
    "plot.difference": "points above the class's mean",
    "plot.true": "true class",
    "plot.predicted": "predicted class",
    "plot.confidence": "confidence, %",
    "plot.ideal": "ideal",
    "plot.every": "one configuration in {step} of the ranking",
    "plot.some": "the {shown} best of {all} configurations",
    "plot.named": "in colour: the {shown} best of {all} configurations",
}
