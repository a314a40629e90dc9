#!/usr/bin/env python3
"""Makes the models of this folder: for each case an estimator of scikit-learn, fitted on one half of a data set that comes
with it, as `NAME.onnx` of skl2onnx, and in `NAME.npz` what it says of the other half.

    pip install numpy onnx onnxruntime scikit-learn skl2onnx
    python3 make.py            # all cases
    python3 make.py iris_      # those whose name begins so

`x` are the samples of the test set, `train` some of the others (to calibrate with). Of a classifier `classes` are the numbers
of the classes that scikit-learn predicts, `scores` what ONNX Runtime gives; of a regressor `values` are scikit-learn's.

The models are made here from scikit-learn's data sets (BSD); they are ours, under the licence of the project.
"""
import os
import sys
import warnings

import numpy as np
import onnx
import onnxruntime as ort
from skl2onnx import to_onnx
from sklearn import datasets
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

HERE = os.path.dirname(os.path.abspath(__file__))
SETS = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "digits": datasets.load_digits,
    "cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
}
SMALL = dict(n_estimators=10, random_state=0)
CASES = {
    "iris_tree": DecisionTreeClassifier(random_state=0),
    "iris_boosting": GradientBoostingClassifier(max_depth=2, **SMALL),
    "wine_forest": RandomForestClassifier(**SMALL),
    "wine_scaled_forest": make_pipeline(StandardScaler(), ExtraTreesClassifier(**SMALL)),
    "digits_tree": DecisionTreeClassifier(random_state=0),
    "cancer_boosting": GradientBoostingClassifier(max_depth=3, **SMALL),
    "cancer_tree": DecisionTreeClassifier(random_state=0),
    "iris_logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "wine_logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "digits_logistic": make_pipeline(MinMaxScaler(), LogisticRegression()),
    "cancer_logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "cancer_raw_logistic": LogisticRegression(max_iter=5000),
    "wine_ridge_linear": make_pipeline(RobustScaler(), RidgeClassifier()),
    "diabetes_linear": LinearRegression(),
    "diabetes_tree": DecisionTreeRegressor(max_depth=5, random_state=0),
    "diabetes_forest": RandomForestRegressor(max_depth=5, **SMALL),
    "diabetes_boosting": GradientBoostingRegressor(max_depth=3, **SMALL),
}


def halves(name):
    x, y = SETS[name](return_X_y=True)
    x = x.astype(np.float32)
    return train_test_split(x, y, test_size=0.5, random_state=1, stratify=y if name != "diabetes" else None)


def make(name, estimator):
    warnings.simplefilter("ignore")
    train, x, y, _ = halves(name.split("_")[0])
    estimator.fit(train, y)
    classifies = hasattr(estimator, "classes_")
    target = {"": 17, "ai.onnx.ml": 3}
    # Estimators without probabilities have no ZipMap.
    options = {"zipmap": False} if hasattr(estimator, "predict_proba") else None
    model = to_onnx(estimator, train[:1], target_opset=target, options=options)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: x})
    arrays = {"x": x, "train": train[:200]}
    if classifies:
        classes = np.searchsorted(estimator.classes_, estimator.predict(x))
        arrays |= {"classes": classes.astype(np.int32), "scores": np.asarray(found[1], np.float32)}
    else:
        arrays["values"] = np.asarray(estimator.predict(x), np.float32)
    onnx.save(model, os.path.join(HERE, f"{name}.onnx"))
    np.savez_compressed(os.path.join(HERE, f"{name}.npz"), **arrays)
    print(name, os.path.getsize(os.path.join(HERE, f"{name}.onnx")))


if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    for name, estimator in CASES.items():
        if name.startswith(wanted):
            make(name, estimator)
