"""Which choices are columns, and which are told in a legend."""

from __future__ import annotations

import dataclasses

from tests.compare.runs import make_rows, make_run
from transfer.compare.keys import sort_keys


def test_keys_that_vary_become_columns_and_the_seed_never_does() -> None:
    keys = sort_keys([make_run("a", 0, 0, 0.5), make_run("b", 5, 1, 0.5)])
    assert keys.shown == ["model.name", "freeze_epochs"]
    assert keys.constant == {"epochs": "3"}
    assert keys.following == {}


def test_what_comes_with_a_choice_is_no_column() -> None:
    runs = [make_run("a", 0, 0, 0.5) for _ in range(3)]
    for run, optimizer, rate in zip(runs, ("adam", "sgd", "sgd"), ("1", "1", "2"), strict=True):
        momentum = {"optimizer.momentum": "0.9"} if optimizer == "sgd" else {}
        run.params.update({"optimizer.name": optimizer, "optimizer.lr": rate} | momentum)
    keys = sort_keys(runs)
    assert keys.shown == ["model.name", "optimizer.lr", "optimizer.name"]
    assert keys.following == {"optimizer.name": ["optimizer.momentum"]}
    assert "optimizer.momentum" not in keys.constant


def test_where_images_lie_is_no_column() -> None:
    runs = [make_run("a", 0, 0, 0.5, **{"data.resident_gb": each}) for each in ("4.0", "0.0")]
    assert sort_keys(runs).shown == ["model.name"]
    assert "data.resident_gb" not in sort_keys(runs).constant


def test_of_two_recipes_one_key_stands_for_all() -> None:
    one = {"optimizer.name": "adam", "batch_size": "64", "schedule.name": "plateau"}
    other = {"optimizer.name": "sgd", "batch_size": "128", "schedule.name": "one_cycle"}
    runs = [
        make_run(model, 0, 0, 0.5, **recipe) for model in ("a", "b", "c") for recipe in (one, other)
    ]
    keys = sort_keys(runs)
    assert keys.shown == ["model.name", "optimizer.name"]
    assert keys.following == {"optimizer.name": ["schedule.name", "batch_size"]}
    labels = [row.label for row in make_rows(runs)]
    assert "a optimizer=adam" in labels and len(set(labels)) == 6


def test_what_the_model_decides_is_told_with_it_but_its_images_size_is_a_column() -> None:
    sizes = {"a": ("32", "bfloat16"), "b": ("64", "float32"), "c": ("64", "float32")}
    runs = [
        make_run(model, 0, 0, 0.5, image_size=size, precision=precision)
        for model, (size, precision) in sizes.items()
    ]
    keys = sort_keys(runs)
    assert keys.shown == ["model.name", "image_size"]
    assert keys.following == {"model.name": ["precision"]}


def test_a_label_names_only_what_it_needs() -> None:
    rates = {("a", "adam"): "1", ("a", "sgd"): "2", ("b", "adam"): "3", ("b", "sgd"): "1"}
    runs = [
        make_run(model, 0, 0, 0.5, **{"optimizer.name": optimizer, "optimizer.lr": rate})
        for (model, optimizer), rate in rates.items()
    ]
    rows = make_rows(runs)
    assert list(rows[0].keys) == ["model", "optimizer.lr", "optimizer"]
    assert {row.label for row in rows} == {f"{model} optimizer={name}" for model, name in rates}
    assert {row.label_without("optimizer") for row in rows} == {"a", "b"}


def test_of_two_protocols_the_validation_set_stands_for_all() -> None:
    published = {"protocol.validation": "test", "protocol.augment_evaluation_of": "['b']"}
    sound = {"protocol.validation": "held_out", "protocol.augment_evaluation_of": "[]"}
    runs = [make_run("a", 0, 0, 0.5, **protocol) for protocol in (published, sound)]
    assert sort_keys(runs).shown == ["model.name", "protocol.validation"]


def test_labels_stay_unique_where_only_the_weights_files_content_differs() -> None:
    runs = [
        dataclasses.replace(
            make_run("a", 0, 0, 0.5, weights="mine.pth"), tags={"transfer.configuration": digest}
        )
        for digest in ("one", "two")
    ]
    for run, digest in zip(runs, ("one", "two"), strict=True):
        run.params["weights.digest"] = digest
    assert sort_keys(runs).shown == ["model.name", "weights.digest"]
    assert len({row.label for row in make_rows(runs)}) == 2
