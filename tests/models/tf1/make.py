"""Makes the graphs of TensorFlow 1 in this folder: a small keyword spotter of that time, frozen and as a checkpoint, with what
TensorFlow answers. Needs tensorflow 2."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_eager_execution()
tf.set_random_seed(3)
rng = np.random.default_rng(3)

# As the speech commands example of TensorFlow 1 builds it: flat fingerprints, a reshape, convolutions, and dropout.
graph = tf.Graph()
with graph.as_default():
    tf.set_random_seed(3)
    wav = tf.placeholder(tf.float32, [None, 80], name="wav_data")
    fingerprint = tf.multiply(wav, 0.5, name="fingerprint")
    image = tf.reshape(fingerprint, [-1, 10, 8, 1])
    keep = tf.placeholder_with_default(1.0, [], name="dropout_prob")

    def weights(name, shape):
        return tf.get_variable(name, initializer=tf.constant(rng.normal(size=shape).astype(np.float32) * 0.4), use_resource=False)

    x = tf.nn.conv2d(image, weights("first/weights", [3, 3, 1, 4]), [1, 2, 1, 1], "SAME")
    x = tf.nn.relu(x + weights("first/bias", [4]))
    x = tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    mean, scale = weights("norm/mean", [4]), tf.abs(weights("norm/scale", [4])) + 0.5
    x = (x - mean) * scale
    flat = tf.reshape(x, [-1, 3 * 4 * 4])
    logits = tf.add(tf.matmul(flat, weights("final/weights", [48, 5])), weights("final/bias", [5]), name="add_logits")
    scores = tf.nn.softmax(logits, name="labels_softmax")
    # What training leaves in a graph.
    tf.summary.scalar("mean", tf.reduce_mean(logits))
    saver = tf.train.Saver()
    with tf.Session(graph=graph) as session:
        session.run(tf.global_variables_initializer())
        samples = rng.normal(size=(60, 80)).astype(np.float32)
        answers = session.run(scores, {wav: samples})
        saver.save(session, "spotter.ckpt")
        frozen = tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["labels_softmax"])

with open("spotter.pb", "wb") as file:
    file.write(frozen.SerializeToString())
os.remove("checkpoint")
np.savez("spotter.npz", wav_data=samples, labels_softmax=answers, fingerprint=samples * np.float32(0.5))
