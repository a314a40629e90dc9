"""`ferrolite serve` under the clients that people have: curl, and tritonclient from PyPI, under load and while files change;
and its throughput beside a server in Python that runs the same model with LiteRT.

    python tests/serving/clients.py target/debug/ferrolite            # curl and tritonclient
    python tests/serving/clients.py target/release/ferrolite --speed  # both servers, in one run

Throughput is told for each core: requests by the processor time of the server, which no slow client can lower.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tests/models/mnist_cnn/mnist_cnn_int8_tf.tflite"
ORACLE = ROOT / "tests/models/mnist_cnn/mnist_cnn_int8_tf.oracle.npz"


class Server:
    """A server in a process of its own, which prints where it is as JSON."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = json.loads(self.process.stdout.readline())["address"].removeprefix("http://")

    def seconds(self):
        """Processor time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        assert code in (0, -signal.SIGTERM), code


def curl(address, path, *words):
    line = ["curl", "-sS", "--fail-with-body", "--max-time", "20", f"http://{address}{path}", *words]
    return subprocess.run(line, check=True, capture_output=True).stdout


def with_curl(address, samples, wanted):
    body = json.dumps({"signature_name": "quantized", "instances": samples[:2].tolist()})
    answer = json.loads(curl(address, "/v1/models/mnist:predict", "-d", body))
    assert answer == {"predictions": wanted[:2].reshape(2, -1).tolist()}, answer
    assert json.loads(curl(address, "/v1/models/mnist"))["model_version_status"][0]["state"] == "AVAILABLE"
    assert b"ferrolite_inferences_total" in curl(address, "/metrics")
    print("curl: passed")


def infer(client, triton, name, sample, binary=True):
    tensor = triton.InferInput(name, list(sample.shape), "INT8" if sample.dtype == np.int8 else "FP32")
    tensor.set_data_from_numpy(sample, binary_data=binary)
    output = triton.InferRequestedOutput("output_0", binary_data=binary)
    return client.infer("mnist", [tensor], outputs=[output]).as_numpy("output_0")


def with_triton(address, folder, binary, samples, wanted, seconds):
    import tritonclient.http as triton

    client = triton.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("mnist")
    assert client.get_model_repository_index()[0]["name"] == "mnist"
    facts = client.get_model_metadata("mnist")
    name = facts["inputs"][0]["name"]
    scale, zero = (facts["inputs"][0]["parameters"][key] for key in ("scale", "zero_point"))
    real = (samples.astype(np.float32) - np.float32(zero)) * np.float32(scale)
    output = facts["outputs"][0]["parameters"]
    for way in (True, False):
        assert np.array_equal(infer(client, triton, name, samples, way), wanted), way
        found = infer(client, triton, name, real, way)
        expected = (wanted.astype(np.float32) - np.float32(output["zero_point"])) * np.float32(output["scale"])
        assert np.array_equal(found, expected), way
    try:
        infer(client, triton, "other", samples)
        raise AssertionError("an unknown input was taken")
    except triton.InferenceServerException as error:
        assert "no input `other`" in str(error), error

    # Load, while versions appear, are replaced and go away.
    stop, counts, failures = threading.Event(), [0] * 4, []

    def ask(which):
        own = triton.InferenceServerClient(address)
        while not stop.is_set():
            at = (counts[which] + which) % len(samples)
            try:
                found = infer(own, triton, name, samples[at : at + 1])
                if not np.array_equal(found, wanted[at : at + 1]):
                    failures.append(f"sample {at}: another answer")
            except Exception as error:  # whatever it is, it counts
                failures.append(repr(error))
            counts[which] += 1

    threads = [threading.Thread(target=ask, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    end, reloads, version = time.monotonic() + seconds, 0, 1
    while time.monotonic() < end:
        version += 1
        place = folder / "mnist" / str(version)
        place.mkdir()
        # Alternately by the command, which renames, and written in place with a pause in the middle.
        if version % 2:
            line = [binary, "convert", str(SOURCE), "-o", str(place / "model.ferro"), "--json"]
            subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        else:
            whole = (folder / "mnist/1/model.ferro").read_bytes()
            with open(place / "model.ferro", "wb") as file:
                file.write(whole[: len(whole) // 2])
                file.flush()
                time.sleep(0.3)
                file.write(whole[len(whole) // 2 :])
        if version > 3:
            shutil.rmtree(folder / "mnist" / str(version - 2))
        reloads += 1
        time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, (len(failures), failures[:3])
    assert reloads > 1 and sum(counts) > 100, (reloads, counts)
    print(f"tritonclient: {sum(counts)} requests while {reloads} versions came and went, 0 failed")


LITERT = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import numpy as np
from ai_edge_litert.interpreter import Interpreter

net = Interpreter(sys.argv[1], num_threads=1)
net.allocate_tensors()
(put,), (get,) = net.get_input_details(), net.get_output_details()

def run(body):
    rows = json.loads(body)["instances"]
    answers = []
    for row in np.asarray(rows, dtype=put["dtype"]):
        net.set_tensor(put["index"], row[None])
        net.invoke()
        answers.append(net.get_tensor(get["index"])[0].tolist())
    return json.dumps({"predictions": answers}).encode()

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part.get("body", b""), part.get("more_body", False)
    answer = run(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})

import socket, uvicorn
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(json.dumps({"address": "http://127.0.0.1:%d" % listener.getsockname()[1]}), flush=True)
config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off")
uvicorn.Server(config).run(sockets=[listener])
"""


def hammer(address, body, seconds):
    """Requests over one kept connection; returns how many."""
    import http.client

    connection, count = http.client.HTTPConnection(address), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        connection.request("POST", "/v1/models/mnist:predict", body)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        count += 1
    return count


def speed(binary, folder, samples, seconds):
    """Both servers with the same model and the same requests, in turns."""
    results = {}
    for rows in (1, 16):
        body = json.dumps({"signature_name": "quantized", "instances": samples[:rows].tolist()})
        with Server(binary, "serve", str(folder), "--http", "127.0.0.1:0", "--json") as ours, \
             Server(sys.executable, "-c", LITERT, str(SOURCE)) as litert:
            for round in range(3):
                for name, server in (("ferrolite", ours), ("LiteRT", litert)):
                    hammer(server.address, body, 0.5)
                    before, began = server.seconds(), time.monotonic()
                    count = hammer(server.address, body, seconds)
                    used, passed = server.seconds() - before, time.monotonic() - began
                    best = results.setdefault((rows, name), [0.0, 0.0])
                    best[0], best[1] = max(best[0], count / used), max(best[1], count / passed)
        for name in ("ferrolite", "LiteRT"):
            core, wall = results[rows, name]
            print(f"{rows} samples a request, {name}: {core:,.0f} requests a second of a core, {wall:,.0f} a second from one client")
        ratio = results[rows, "ferrolite"][0] / results[rows, "LiteRT"][0]
        print(f"{rows} samples a request: {ratio:.2f} times the throughput of a core")
        assert ratio >= 1, "slower than the server in Python"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        (folder / "mnist/1").mkdir(parents=True)
        line = [options.binary, "convert", str(SOURCE), "-o", str(folder / "mnist/1/model.ferro"), "--json"]
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        oracle = np.load(ORACLE)
        samples, wanted = oracle["in0"], oracle["tflm_out0"]
        samples, wanted = samples.reshape(len(samples), 28, 28, 1), wanted.reshape(len(wanted), -1)
        if options.speed:
            speed(options.binary, folder, samples.repeat(2, axis=0), options.seconds)
            return
        with Server(options.binary, "serve", place, "--http", "127.0.0.1:0", "--json", "--poll", "0.2") as server:
            with_curl(server.address, samples, wanted)
            with_triton(server.address, folder, options.binary, samples, wanted, options.seconds)


main()
