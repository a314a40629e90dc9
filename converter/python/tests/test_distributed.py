"""Shards of a data set, on the workers of this machine: the bytes are those of one process with all samples."""

import concurrent.futures

import numpy as np
import pytest

import ferrolite
from ferrolite import distributed


def _shards(x, count):
    """Samples in another order, cut into parts of different sizes."""
    x = x[np.random.default_rng(3).permutation(len(x))]
    return np.split(x, sorted(np.random.default_rng(4).choice(np.arange(1, len(x)), count - 1, replace=False)))


@pytest.fixture(scope="module")
def whole(digits):
    path, data = digits
    x = data["cal_x"][:96]
    return path, x, {way: ferrolite.convert(path, calibrate=x, calibration=way) for way in ("mse", "minmax")}


def test_here(whole):
    path, x, models = whole
    for way, model in models.items():
        found = distributed.convert(path, _shards(x, 3), calibration=way)
        assert bytes(found) == bytes(model), way
        assert found.conversion["calibration_samples"] == len(x)


def test_threads_and_functions(whole):
    path, x, models = whole
    shards = [lambda shard=shard: shard for shard in _shards(x, 4)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = distributed.convert(path, shards, pool, calibration="mse")
        # A model without a file has another name.
        nameless = distributed.convert(path.read_bytes(), [x], pool, calibration="minmax")
    assert bytes(found) == bytes(models["mse"])
    assert bytes(nameless) == bytes(ferrolite.convert(path.read_bytes(), calibrate=x, calibration="minmax"))


def test_errors(whole):
    path, x, _ = whole
    with pytest.raises(ferrolite.InputError, match="same samples"):
        distributed.convert(path, [x[:20], x[:20]], calibration="minmax")
    with pytest.raises(ferrolite.InputError, match="no shards"):
        distributed.convert(path, [])
    with pytest.raises(ferrolite.UsageError, match="runs nothing"):
        distributed.convert(path, [x], client=3)
    with pytest.raises(ferrolite.UsageError, match="calibrate"):
        distributed.convert(path, [x], calibrate=x)


def test_rounds_by_hand(whole):
    path, x, models = whole
    shards = _shards(x, 2)
    parts = [ferrolite.statistics(path, shard, calibration="mse") for shard in shards]
    with pytest.raises(ferrolite.InputError, match="another question"):
        ferrolite.convert(path, statistics=parts, calibration="mse")
    parts = [ferrolite.statistics(path, shard, calibration="mse", before=parts) for shard in shards]
    assert bytes(ferrolite.convert(path, statistics=parts, calibration="mse")) == bytes(models["mse"])


def test_dask(whole):
    dask = pytest.importorskip("dask.distributed")
    path, x, models = whole
    with dask.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        with dask.Client(cluster) as client:
            first, *shards = _shards(x, 4)
            shards = [client.scatter(first), *shards]
            found = distributed.convert(path, shards, client, calibration="mse")
            with pytest.raises(ferrolite.InputError, match="shape"):
                distributed.convert(path, [x[:, :5]], client)
    assert bytes(found) == bytes(models["mse"])


def test_ray(whole):
    ray = pytest.importorskip("ray")
    path, x, models = whole
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        first, *shards = _shards(x, 4)
        found = distributed.convert(path, [ray.put(first), *shards], ray, calibration="mse")
        with pytest.raises(ferrolite.InputError, match="shape"):
            distributed.convert(path, [x[:, :5]], ray)
    finally:
        ray.shutdown()
    assert bytes(found) == bytes(models["mse"])
