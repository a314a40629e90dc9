"""Makes models whose masks are read by attention and Softmax, `today/mask_*.keras`, and Keras's answers, `masks.npz`.

    /tmp/venv/bin/python make_masks.py          # the environment of make.py

`masks.npz` has `FILE/in/NUMBER` and `FILE/out/NUMBER`, two samples each. Weights are random.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
L = keras.layers
rng = np.random.default_rng(31)
keras.utils.set_random_seed(31)
arrays = {}
# Left out behind, in front and in the middle.
IDS = np.array([[4, 3, 8, 2, 0, 0, 0], [0, 6, 5, 0, 1, 7, 2]])
OTHER = np.array([[5, 5, 0, 1, 2], [3, 0, 0, 0, 0]])


def put(name, model, *given):
    for w in model.weights:
        if "seed" not in w.path:
            w.assign((rng.standard_normal(w.shape) * 0.5).astype(np.float32))
    path = os.path.join(HERE, "today", f"{name}.keras")
    model.save(path)
    loaded = keras.models.load_model(path)
    inputs = [np.asarray(x, np.int32 if np.asarray(x).dtype.kind == "i" else np.float32) for x in given]
    outputs = [np.stack([np.asarray(o[0]) for o in rows]) for rows in zip(*(
        [np.asarray(o) for o in (lambda a: a if isinstance(a, (list, tuple)) else [a])(loaded([x[i : i + 1] for x in inputs] if len(inputs) > 1 else inputs[0][i : i + 1]))]
        for i in range(2)))]
    for i, x in enumerate(inputs):
        arrays[f"{name}.keras/in/{i}"] = x.astype(np.float32)
    for i, y in enumerate(outputs):
        arrays[f"{name}.keras/out/{i}"] = y


def embedded(steps=7):
    x = L.Input((steps,), dtype="int32")
    return x, L.Embedding(9, 4, mask_zero=True)(x)


# Keras 3.15 takes the masks off the tensors that a MultiHeadAttention is called with, so each has tensors of its own here.
x, e = embedded()
y, _ = embedded(5)
plain = L.Conv1D(4, 3, padding="same")(e)


def one():
    return L.Embedding(9, 4, mask_zero=True)(x)


def two():
    return L.Embedding(9, 4, mask_zero=True)(y)


both = one()
outputs = [
    L.MultiHeadAttention(2, 3)(both, both),
    L.MultiHeadAttention(2, 3)(one(), one(), use_causal_mask=True),
    L.MultiHeadAttention(1, 2, value_dim=3)(plain, two()),
    L.MultiHeadAttention(1, 2)(plain, two(), plain[:, :5]),
    *L.MultiHeadAttention(2, 2)(plain, two(), return_attention_scores=True),
    L.GlobalAveragePooling1D()(L.MultiHeadAttention(1, 2)(one(), two())),
]
put("mask_heads", keras.Model([x, y], outputs), IDS, OTHER)

x, e = embedded()
y, f = embedded(5)
plain = L.Conv1D(4, 3, padding="same")(e)
outputs = [
    L.Attention()([e, f]),
    L.Attention(use_scale=True)([e, f, f]),
    L.Attention()([plain, f], use_causal_mask=True),
    L.Attention()([e, e], use_causal_mask=True),
    L.GlobalAveragePooling1D()(L.Attention()([e, f])),
]
put("mask_attention", keras.Model([x, y], outputs), IDS, OTHER)

q = L.Input((5, 4))
pairs = L.Input((5, 5), dtype="int32")
outputs = [
    L.MultiHeadAttention(2, 3)(q, q, attention_mask=pairs),
    L.MultiHeadAttention(2, 3)(q, q, attention_mask=pairs, use_causal_mask=True),
    L.MultiHeadAttention(2, 3)(L.Masking()(q), q, attention_mask=pairs),
]
seen = rng.integers(0, 2, (2, 5, 5)) | np.eye(5, dtype=np.int64)
rows = rng.standard_normal((2, 5, 4))
rows[0, 3:] = 0
put("mask_pairs", keras.Model([q, pairs], outputs), rows, seen)

s = L.Input((5, 6))
outputs = [
    L.Softmax()(s, mask=keras.ops.greater(s, 0.0)),
    L.Softmax(axis=1)(s, mask=keras.ops.less(s, 1.0)),
]
put("mask_softmax", keras.Model(s, outputs), rng.standard_normal((2, 5, 6)))

# The second attention finds no mask: the first one took that of `e`, and so the sum has none.
x, e = embedded()
total = L.Add()([e, L.MultiHeadAttention(2, 3)(e, e)])
put("mask_twice", keras.Model(x, L.MultiHeadAttention(2, 3)(total, total)), IDS)
with open(os.path.join(HERE, "masks.npz"), "wb") as f:
    np.savez_compressed(f, **arrays)
