"""Loss, optimizer and learning rate of a training, as Keras' own classes."""

from __future__ import annotations

from typing import Any

from lesionlite_training.configuration import FineTuning

MOMENTUM = 0.9


def compile_network(network: Any, tuning: FineTuning, steps: int) -> Any:
    """Compile ``network``; returns its optimizer, built."""
    import keras

    settings: dict[str, Any] = {
        "learning_rate": _schedule(tuning, steps),
        "weight_decay": tuning.weight_decay or None,
        "use_ema": tuning.ema > 0,
    }
    if tuning.ema:
        settings["ema_momentum"] = tuning.ema
    if tuning.optimizer == "adamw":
        settings["weight_decay"] = tuning.weight_decay
        optimizer = keras.optimizers.AdamW(**settings)
    elif tuning.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=MOMENTUM, nesterov=True, **settings)
    else:
        optimizer = keras.optimizers.RMSprop(**settings)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    network.compile(optimizer=optimizer, loss=_loss(network, tuning))
    optimizer.build(network.trainable_variables)
    _for_one_device(optimizer)
    return optimizer


def _for_one_device(optimizer: Any) -> None:
    """Leave out the sum of the gradients over all devices where there is one device alone.

    TensorFlow registers a gradient of that sum for good, and it holds the graph of the training
    step: 125 MB for each EfficientNet-Lite0 that a process trains.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    if not tf.distribute.has_strategy():
        optimizer._all_reduce_sum_gradients = lambda pairs: pairs


def _schedule(tuning: FineTuning, steps: int) -> Any:
    import keras

    warmup = min(tuning.warmup_steps, tuning.epochs * steps // 2)
    if tuning.schedule == "constant":
        # A cosine so long that the training sees its flat beginning only.
        length = 10_000 * tuning.epochs * steps
    else:
        length = tuning.epochs * steps - warmup
    if not warmup:
        return keras.optimizers.schedules.CosineDecay(tuning.learning_rate, length)
    return keras.optimizers.schedules.CosineDecay(
        0.0, length, warmup_target=tuning.learning_rate, warmup_steps=warmup
    )


def _loss(network: Any, tuning: FineTuning) -> Any:
    """The loss on logits; label smoothing lies in the targets."""
    import keras

    one = network.outputs[0].shape[-1] == 1
    if tuning.loss == "focal":
        # The weights of the classes are those of the examples, so alpha is not used again.
        if one:
            return keras.losses.BinaryFocalCrossentropy(gamma=tuning.focal_gamma, from_logits=True)
        return keras.losses.CategoricalFocalCrossentropy(
            alpha=1.0, gamma=tuning.focal_gamma, from_logits=True
        )
    if one:
        return keras.losses.BinaryCrossentropy(from_logits=True)
    return keras.losses.CategoricalCrossentropy(from_logits=True)
