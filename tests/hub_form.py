"""Small real SavedModels in the form of TensorFlow Hub's image feature vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

MOMENTUM = 0.9
EPSILON = 1e-3
WEIGHT_DECAY = 1e-4
# By variable, in the order of the SavedModel's list; the last two do not learn.
NAMES = (
    "stem.kernel",
    "stem.bn.gamma",
    "stem.bn.beta",
    "project.kernel",
    "stem.bn.moving_mean",
    "stem.bn.moving_variance",
)


def write_hub_form(
    folder: Path,
    *,
    side: int | None = 48,
    features: int = 24,
    width: int = 12,
    stride: int = 2,
    seed: int = 0,
    has_training: bool = True,
    also_in_call: Any = None,
) -> Path:
    """Save convolution, batch-norm, ReLU6, pooling and projection as a reusable SavedModel.

    Args:
        folder: where to; made if missing.
        side: of the images in pixels; None for any.
        features: length of the feature vector.
        width: channels of the convolution.
        stride: of the convolution.
        seed: of the weights.
        has_training: whether ``__call__`` takes ``training``.
        also_in_call: called with the images and its result added to the features, for graphs that
            do more than they should.

    Returns:
        ``folder``.
    """
    import tensorflow as tf

    rng = np.random.default_rng(seed)

    def variable(name: str, value: Any, trainable: bool = True) -> Any:
        return tf.Variable(np.asarray(value, np.float32), trainable=trainable, name=name)

    kernel = variable("stem/kernel", rng.normal(0, 0.4, (3, 3, 3, width)))
    gamma = variable("stem/bn/gamma", rng.uniform(0.5, 1.5, width))
    beta = variable("stem/bn/beta", rng.uniform(-0.2, 0.8, width))
    project = variable("project/kernel", rng.normal(0, 0.5, (1, 1, width, features)))
    mean = variable("stem/bn/moving_mean", rng.normal(0, 0.2, width), trainable=False)
    variance = variable("stem/bn/moving_variance", rng.uniform(0.3, 0.9, width), trainable=False)
    images = tf.TensorSpec((None, side, side, 3), tf.float32, name="inputs")

    def run(inputs: Any, training: bool) -> Any:
        x = tf.nn.conv2d(inputs, kernel, stride, "SAME")
        fused = tf.compat.v1.nn.fused_batch_norm
        if training:
            x, batch_mean, batch_variance = fused(x, gamma, beta, is_training=True, epsilon=EPSILON)
            mean.assign_sub((mean - batch_mean) * (1 - MOMENTUM))
            variance.assign_sub((variance - batch_variance) * (1 - MOMENTUM))
        else:
            x, _, _ = fused(x, gamma, beta, mean, variance, is_training=False, epsilon=EPSILON)
        x = tf.reduce_mean(tf.nn.relu6(x), [1, 2], keepdims=True)
        vector = tf.squeeze(tf.nn.conv2d(x, project, 1, "SAME"), [1, 2])
        return vector if also_in_call is None else vector + also_in_call(inputs)

    if has_training:

        @tf.function
        def call(inputs: Any, training: bool = False) -> Any:
            return run(inputs, training)

        for training in (True, False):
            call.get_concrete_function(images, training=training)
    else:
        call = tf.function(lambda inputs: run(inputs, False), input_signature=[images])

    module = tf.train.Checkpoint()
    module.__call__ = call
    module.variables = [kernel, gamma, beta, project, mean, variance]
    module.trainable_variables = [kernel, gamma, beta, project]
    module.regularization_losses = [
        tf.function(lambda: WEIGHT_DECAY * tf.nn.l2_loss(kernel), input_signature=[])
    ]
    serving = tf.function(lambda inputs: {"default": call(inputs)}, input_signature=[images])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serving})
    return folder
