"""A CSV through tf.data into Keras: python iris.py (iris.csv: R. A. Fisher 1936, from scikit-learn, public domain)"""

import keras
import tensorflow as tf

COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
data = tf.data.experimental.make_csv_dataset("iris.csv", batch_size=16, label_name="species", num_epochs=40, shuffle_seed=1)
data = data.map(lambda row, label: (tf.stack([row[name] for name in COLUMNS], axis=1), label))

keras.utils.set_random_seed(1)
model = keras.Sequential(
    [keras.layers.Input((4,)), keras.layers.Normalization(), keras.layers.Dense(10, activation="relu"), keras.layers.Dense(3)],
    name="iris",
)
model.layers[0].adapt(data.map(lambda row, label: row).take(10))
model.compile(optimizer=keras.optimizers.Adam(0.01), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
model.fit(data, verbose=2)
model.save("iris.keras")
