//! Tests of `serve` over real connections: that answers are the device's bytes in both protocols, that a reload drops no
//! request and never serves half a file, and that limits, sequences, updates and TLS do what they say.

#![cfg(all(feature = "serve", feature = "fetch"))]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ferrolite::convert::{ConvertOptions, convert};
use ferrolite::model_file::ModelFile;
use ferrolite::serve::{Options, Server};
use ferrolite::{run, update};
use ferrolite_runtime::{OpCode, Target};
use serde_json::{Value, json};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A folder of models with a server over it.
struct Desk {
    folder: tempfile::TempDir,
    log: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    fn new() -> Desk {
        Desk { folder: tempfile::tempdir().unwrap(), log: Arc::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file into the folder as a careful person does: written elsewhere, then renamed.
    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let hidden = path.with_file_name(".new");
        fs::write(&hidden, bytes).unwrap();
        fs::rename(hidden, path).unwrap();
    }

    fn start(&self, options: Options) -> Server {
        let options =
            Options { address: "127.0.0.1:0".into(), poll: Duration::from_millis(20), threads: 2, ..options };
        let log = Arc::clone(&self.log);
        Server::start(self.folder.path(), &options, move |line| log.lock().unwrap().push(line.into()))
            .unwrap()
    }

    /// Waits until the log has a line with this.
    fn wait_for(&self, text: &str) {
        let began = Instant::now();
        while !self.log.lock().unwrap().iter().any(|line| line.contains(text)) {
            assert!(began.elapsed() < Duration::from_secs(30), "`{text}` in {:?}", self.log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn sine() -> Vec<u8> {
    fs::read(repository().join("tests/models/sine/sine.ferro")).unwrap()
}

fn converted(path: &str) -> Vec<u8> {
    let path = repository().join("tests").join(path);
    convert(&path, &ConvertOptions::default(), &()).unwrap().file.bytes().to_vec()
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_string()
    }
}

/// A connection that is kept.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Client(BufReader::new(stream))
    }

    fn ask(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> std::io::Result<Answer> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        self.0.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        self.answer(method == "HEAD")
    }

    fn answer(&mut self, no_body: bool) -> std::io::Result<Answer> {
        let mut line = || {
            let mut line = String::new();
            match self.0.read_line(&mut line)? {
                0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
                _ => Ok::<String, std::io::Error>(line.trim_end().to_string()),
            }
        };
        let status = line()?.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_string()));
        }
        let answer = Answer { status, headers, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; if no_body || status == 304 { 0 } else { length }];
        self.0.read_exact(&mut body)?;
        Ok(Answer { body, ..answer })
    }

    fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "", b"").unwrap()
    }

    fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, "", body.to_string().as_bytes()).unwrap()
    }
}

/// What the device answers to samples of the only input, as stored.
fn device(file: &[u8], samples: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let file = ModelFile::from_bytes("file", file);
    let model = file.model().unwrap();
    let one = |sample: &Vec<u8>| {
        run::once(&model, file.operators(), std::slice::from_ref(sample), None).unwrap().0.concat()
    };
    samples.iter().map(one).collect()
}

/// Bytes that look like anything (xorshift).
fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..count).map(|_| next()).collect()
}

fn signed(bytes: &[u8]) -> Vec<i64> {
    bytes.iter().map(|&byte| i64::from(byte as i8)).collect()
}

#[test]
fn answers_are_the_devices_bytes_in_both_protocols() {
    let desk = Desk::new();
    let file = converted("models/mnist_cnn/mnist_cnn_int8_tf.tflite");
    desk.put("mnist/1/model.ferro", &file);
    let server = desk.start(Options::default());
    let mut client = Client::new(server.address());
    let facts = client.get("/v2/models/mnist").json();
    let (input, output) = (&facts["inputs"][0], &facts["outputs"][0]);
    assert_eq!((&input["shape"], &input["datatype"]), (&json!([-1, 28, 28, 1]), &json!("INT8")));
    let (scale, zero) = (
        output["parameters"]["scale"].as_f64().unwrap(),
        output["parameters"]["zero_point"].as_i64().unwrap(),
    );
    let (in_scale, in_zero) = (
        input["parameters"]["scale"].as_f64().unwrap() as f32,
        input["parameters"]["zero_point"].as_i64().unwrap(),
    );

    let samples: Vec<Vec<u8>> = (0..5).map(|seed| noise(784, seed)).collect();
    let wanted: Vec<Vec<i64>> = device(&file, &samples).iter().map(|bytes| signed(bytes)).collect();
    let real_out: Vec<Vec<f64>> = wanted
        .iter()
        .map(|row| row.iter().map(|&q| f64::from(scale as f32 * (q - zero) as f32)).collect())
        .collect();
    let stored: Vec<Vec<i64>> = samples.iter().map(|sample| signed(sample)).collect();
    let real: Vec<Vec<f32>> =
        stored.iter().map(|row| row.iter().map(|&q| in_scale * (q - in_zero) as f32).collect()).collect();
    let floats = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|v| f64::from(v.as_f64().unwrap() as f32)).collect()
    };

    // TensorFlow Serving: rows of stored integers, nested as they like, then columns, reals and base64.
    let square = |row: &Vec<i64>| json!(row.chunks(28).collect::<Vec<_>>());
    let rows: Vec<Value> = stored.iter().map(square).collect();
    let body = json!({ "signature_name": "quantized", "instances": rows });
    assert_eq!(client.post("/v1/models/mnist:predict", &body).json(), json!({ "predictions": wanted }));
    let body = json!({ "signature_name": "quantized", "inputs": { input["name"].as_str().unwrap(): rows } });
    assert_eq!(
        client.post("/v1/models/mnist/versions/1:predict", &body).json(),
        json!({ "outputs": wanted })
    );
    let rows: Vec<Value> = real.iter().map(|row| json!(row.chunks(28).collect::<Vec<_>>())).collect();
    let answer = client.post("/v1/models/mnist:predict", &json!({ "instances": rows })).json();
    for (found, wanted) in answer["predictions"].as_array().unwrap().iter().zip(&real_out) {
        assert_eq!(&floats(found), wanted);
    }
    let b64 = json!({ "b64": base64(&samples[3]) });
    let body = json!({ "signature_name": "quantized", "instances": [b64] });
    assert_eq!(client.post("/v1/models/mnist:predict", &body).json(), json!({ "predictions": [wanted[3]] }));

    // KServe: JSON and binary, stored and real.
    let name = input["name"].as_str().unwrap();
    let flat: Vec<i64> = stored.concat();
    let tensor = json!({ "name": name, "shape": [5, 28, 28, 1], "datatype": "INT8", "data": flat });
    let answer = client.post("/v2/models/mnist/infer", &json!({ "id": "7", "inputs": [tensor] })).json();
    assert_eq!((&answer["id"], &answer["model_version"]), (&json!("7"), &json!("1")));
    let found = &answer["outputs"][0];
    assert_eq!((&found["datatype"], &found["shape"]), (&json!("INT8"), &json!([5, 10])));
    assert_eq!(found["data"], json!(wanted.concat()));
    let bytes: Vec<u8> = real.concat().iter().flat_map(|v| v.to_le_bytes()).collect();
    for (datatype, bytes, out_type) in [("INT8", samples.concat(), "INT8"), ("FP32", bytes, "FP32")] {
        let parameters = json!({ "binary_data_size": bytes.len() });
        let tensor =
            json!({ "name": name, "shape": [5, 28, 28], "datatype": datatype, "parameters": parameters });
        let head = json!({ "inputs": [tensor], "parameters": { "binary_data_output": true } }).to_string();
        let length = format!("inference-header-content-length: {}\r\n", head.len());
        let answer = client
            .ask("POST", "/v2/models/mnist/infer", &length, &[head.as_bytes(), &bytes].concat())
            .unwrap();
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let length: usize = answer.header("inference-header-content-length").unwrap().parse().unwrap();
        let (head, tensor) = answer.body.split_at(length);
        let head: Value = serde_json::from_slice(head).unwrap();
        assert_eq!(head["outputs"][0]["datatype"], out_type);
        match out_type {
            "INT8" => assert_eq!(signed(tensor), wanted.concat()),
            _ => {
                let found = tensor.as_chunks::<4>().0.iter().map(|&b| f64::from(f32::from_le_bytes(b)));
                assert_eq!(found.collect::<Vec<f64>>(), real_out.concat());
            }
        }
    }
    let page = String::from_utf8(client.get("/metrics").body).unwrap();
    assert!(page.contains("ferrolite_inferences_total{model=\"mnist\",version=\"1\"} 31"), "{page}");
    server.stop().unwrap();
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let bits = (0..3).fold(0u32, |bits, place| bits << 8 | u32::from(*group.get(place).unwrap_or(&0)));
        let digit = |place: usize| match place > group.len() {
            true => '=',
            false => char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]),
        };
        (0..4).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

#[test]
fn wrong_requests_get_one_sentence() {
    let desk = Desk::new();
    desk.put("sine.ferro", &sine());
    let server = desk.start(Options { body_bytes: 4096, ..Options::default() });
    let mut client = Client::new(server.address());
    let name = client.get("/v2/models/sine").json()["inputs"][0]["name"].as_str().unwrap().to_string();
    let v1 = "/v1/models/sine:predict";
    let v2 = "/v2/models/sine/infer";
    let tensor = |shape: Value, datatype: &str, data: Value| json!({ "inputs": [{ "name": name, "shape": shape, "datatype": datatype, "data": data }] });
    let cases = [
        (v1, json!({}), 400, "either `instances` or `inputs`"),
        (v1, json!({ "instances": [], "signature_name": "" }), 400, "is empty"),
        (v1, json!({ "instances": [[1, 2]] }), 400, "1x1 int8"),
        (v1, json!({ "instances": [{ "y": 1 }] }), 400, "is missing"),
        (v1, json!({ "inputs": { name.clone(): 1, "y": 1 } }), 400, "no input `y`"),
        (v1, json!({ "instances": [[1], "x"] }), 400, "a number, a list"),
        (v1, json!({ "instances": [1], "signature_name": "x" }), 400, "no signature `x`"),
        (v1, json!({ "instances": [300], "signature_name": "quantized" }), 400, "element 300"),
        (
            v1,
            json!({ "instances": [{ "b64": "AAA=" }], "signature_name": "quantized" }),
            400,
            "\"b64\" has 2 bytes",
        ),
        ("/v1/models/sine:classify", json!({}), 501, "use :predict"),
        ("/v1/models/sine:regress", json!({}), 501, "use :predict"),
        ("/v1/models/other:predict", json!({}), 404, "models here are sine"),
        ("/v1/models/sine/versions/2:predict", json!({}), 404, "it has 1"),
        ("/v1/models/sine/versions/x:predict", json!({}), 404, "it has 1"),
        ("/v1/nothing", json!({}), 404, "/v2/health/ready"),
        ("/v2", json!({}), 405, "POST"),
        (v2, json!({ "inputs": [] }), 400, "is missing"),
        (v2, tensor(json!([1, 1]), "BYTES", json!(["x"])), 400, "a number, a list"),
        (v2, tensor(json!([1, 1]), "UINT8", json!([1])), 400, "stored or real"),
        (v2, tensor(json!([2, 1]), "INT8", json!([1])), 400, "2 elements"),
        (v2, tensor(json!([0, 1]), "INT8", json!([])), 400, "1x1 int8"),
        (v2, tensor(json!([18446744073709551615u64, 1]), "INT8", json!([1])), 400, "samples in one request"),
        (v2, tensor(json!([1]), "INT8", json!([1.5])), 400, "element 1.5"),
        (v2, tensor(json!([1]), "INT8", Value::Null), 400, "is missing"),
        // Truth values are no numbers, unless the type says so.
        (v1, json!({ "instances": [true] }), 400, "the element true, and its elements are numbers; send 1"),
        (v1, json!({ "instances": [[false]], "signature_name": "quantized" }), 400, "the element false"),
        (v1, json!({ "inputs": true }), 400, "the element true"),
        (v2, tensor(json!([1, 1]), "INT8", json!([true])), 400, "the element true"),
        (v2, tensor(json!([1, 1]), "FP32", json!([true])), 400, "the element true"),
        // A word that is spelt otherwise would change the answer in silence.
        (
            v1,
            json!({ "instances": [0.5], "signature_nam": "quantized" }),
            400,
            "unknown field `signature_nam`",
        ),
        (v2, json!({ "inputs": [], "foo": 1 }), 400, "unknown field `foo`"),
        (
            v2,
            json!({ "inputs": [{ "name": name, "shape": [1], "datatype": "INT8", "data": [1], "dat": 1 }] }),
            400,
            "unknown field `dat`",
        ),
        // Lists are no objects.
        (v1, json!([]), 400, "found a list, expected an object"),
        (v1, json!([null, [0.5], null]), 400, "found a list, expected an object"),
        (v1, json!("x"), 400, "found string \"x\", expected an object"),
        (v1, json!({ "instances": { "x": 1 } }), 400, "found an object, expected a list of instances"),
        (v2, json!([]), 400, "found a list, expected an object"),
        (v2, json!({ "inputs": [[name, [1], "INT8", {}, [1]]] }), 400, "found a list, expected an object"),
        (v2, json!({ "inputs": 1 }), 400, "expected a list"),
        // Numbers that no float32 has.
        (v1, json!({ "instances": [1e39] }), 400, "the element 1e39, which is no finite float32"),
        (v1, json!({ "inputs": [[-1e39]] }), 400, "the element -1e39, which is no finite float32"),
        (
            v2,
            tensor(json!([1]), "FP64", json!([1e300])),
            400,
            "the element 1e300, which is no finite float32",
        ),
        (v1, json!({ "instances": [1e39], "signature_name": "quantized" }), 400, "element 1e39"),
        (
            v1,
            json!({ "instances": [{ "b64": base64(&f32::NAN.to_le_bytes()) }] }),
            400,
            "the element NaN, which is no finite float32",
        ),
        (v2, json!({ "inputs": [], "parameters": { "sequence_start": true } }), 400, "no sequence_id"),
    ];
    for (path, body, status, words) in cases {
        let answer = client.post(path, &body);
        let error = answer.error();
        assert_eq!(answer.status, status, "{path} {body}: {error}");
        assert!(error.contains(words) && !error.contains('\n'), "{path} {body}: {error}");
        for leak in ["struct ", "Real(", "invalid type", "sequence,", "sequence at"] {
            assert!(!error.contains(leak), "{path} {body}: {error}");
        }
    }
    for value in [f32::INFINITY, f32::NAN] {
        let head = json!({ "inputs": [{ "name": name, "shape": [1], "datatype": "FP32", "parameters": { "binary_data_size": 4 } }] }).to_string();
        let length = format!("inference-header-content-length: {}\r\n", head.len());
        let answer =
            client.ask("POST", v2, &length, &[head.as_bytes(), &value.to_le_bytes()].concat()).unwrap();
        let words = format!("the element {value:?}, which is no finite float32");
        assert!(answer.status == 400 && answer.error().contains(&words), "{}", answer.error());
    }
    // Where there is nothing, some clients write null.
    let input = json!({ "name": name, "shape": [1], "datatype": "INT8", "data": [1], "parameters": null });
    let nulls = json!({ "id": null, "parameters": null, "inputs": [input], "outputs": null });
    assert_eq!(client.post(v2, &nulls).status, 200);
    // Lengths that do not fit what was sent.
    let head = json!({ "inputs": [{ "name": name, "shape": [1], "datatype": "INT8", "parameters": { "binary_data_size": 2 } }] });
    for length in ["9999".to_string(), "x".to_string(), head.to_string().len().to_string()] {
        let header = format!("inference-header-content-length: {length}\r\n");
        let answer = client.ask("POST", v2, &header, &[head.to_string().as_bytes(), b"1"].concat()).unwrap();
        assert_eq!(answer.status, 400, "{length}: {}", answer.error());
    }
    assert_eq!(client.ask("POST", v1, "content-encoding: gzip\r\n", b"x").unwrap().status, 415);
    // A body that is told to be too large is not read; one that turns out to be is cut off.
    assert_eq!(Client::new(server.address()).ask("POST", v1, "", &[b'['; 5000]).unwrap().status, 413);
    let mut chunked = Client::new(server.address());
    let text = format!(
        "POST {v1} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1388\r\n{}\r\n0\r\n\r\n",
        "[".repeat(5000)
    );
    chunked.0.get_mut().write_all(text.as_bytes()).unwrap();
    assert_eq!(chunked.answer(false).unwrap().status, 413);
    // Tensors by name without an end do not fill the memory.
    let many = (0..1025).map(|index| format!("\"{index}\":1")).collect::<Vec<_>>().join(",");
    let names = format!("{{\"inputs\":{{{many}}}}}");
    let server_of_large = desk.start(Options::default());
    let answer = Client::new(server_of_large.address()).ask("POST", v1, "", names.as_bytes()).unwrap();
    assert!(answer.status == 400 && answer.error().contains("more than 1024"), "{}", answer.error());
    server_of_large.stop().unwrap();
    // Lists without an end do not fill the stack.
    assert_eq!(client.ask("POST", v1, "", &[b'['; 4000]).unwrap().status, 400);
    server.stop().unwrap();
}

/// Files change while clients ask: by renaming, by writing over them in pieces, and for the worse. No request fails, and
/// every answer is that of one whole file.
#[test]
fn a_reload_drops_no_request_and_serves_no_half_file() {
    let desk = Desk::new();
    let (old, new) = (sine(), converted("models/digits_mlp/digits_mlp_int8_tf.tflite"));
    desk.put("m/1/model.ferro", &old);
    desk.put("still.ferro", &old);
    let server = desk.start(Options::default());
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let body = json!({ "signature_name": "quantized", "instances": [5] });
    let wanted = json!({ "predictions": [signed(&device(&old, &[vec![5]])[0])] });
    std::thread::scope(|scope| {
        for path in ["/v1/models/still:predict", "/v1/models/m/versions/1:predict"] {
            let (stop, asked, body, wanted) = (&stop, &asked, &body, &wanted);
            let address = server.address();
            scope.spawn(move || {
                let mut client = Client::new(address);
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.post(path, body);
                    assert_eq!((answer.status, &answer.json()), (200, wanted));
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for version in 2..6 {
            desk.put(&format!("m/{version}/model.ferro"), if version % 2 == 0 { &new } else { &old });
            desk.wait_for(&format!("m version {version}: loaded"));
            // The same contents again, renamed into place and written in two pieces with a pause.
            desk.put("still.ferro", &old);
            let mut file = fs::File::create(desk.path("m/1/model.ferro")).unwrap();
            file.write_all(&old[..old.len() / 2]).unwrap();
            file.flush().unwrap();
            std::thread::sleep(Duration::from_millis(80));
            file.write_all(&old[old.len() / 2..]).unwrap();
        }
        desk.wait_for("the one before is served on");
        stop.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) > 50);
    let mut client = Client::new(server.address());
    let newest = client.get("/v2/models/m").json();
    assert_eq!(newest["versions"], json!(["1", "2", "3", "4", "5"]));
    // Damaged files: the version before answers, and the log has the reason.
    let mut damaged = old.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    desk.put("m/9/model.ferro", &damaged);
    desk.put("m/10/model.ferro", b"no model");
    desk.wait_for("m/9/model.ferro: ");
    desk.wait_for("m/10/model.ferro: ");
    assert_eq!(client.post("/v1/models/m:predict", &body).json(), wanted);
    let page = String::from_utf8(client.get("/metrics").body).unwrap();
    assert!(page.contains("ferrolite_model_loads_total{model=\"m\",result=\"refused\"}"), "{page}");
    // A version that is taken away.
    fs::remove_file(desk.path("m/5/model.ferro")).unwrap();
    desk.wait_for("m version 5: its file is gone");
    assert_eq!(client.get("/v1/models/m/versions/5").status, 404);
    server.stop().unwrap();
}

/// A model with state, asked by two clients in turn: each sequence is what one device would answer.
#[test]
fn sequences_keep_their_state_apart() {
    let desk = Desk::new();
    let file = converted("vectors/svdf/memory_10.tflite");
    desk.put("svdf.ferro", &file);
    let options = Options { sequences: 2, sequence_idle: Duration::from_millis(300), ..Options::default() };
    let server = desk.start(options);
    let mut client = Client::new(server.address());
    let facts = client.get("/v2/models/svdf").json();
    assert!(facts["parameters"]["state_bytes"].as_u64().unwrap() > 0, "{facts}");
    let shape: Vec<i64> =
        facts["inputs"][0]["shape"].as_array().unwrap().iter().map(|n| n.as_i64().unwrap().abs()).collect();
    let elements = shape.iter().product::<i64>() as usize;
    let mut ask = |sample: &[u8], parameters: Value| {
        let tensor = json!({ "name": facts["inputs"][0]["name"], "shape": shape, "datatype": "INT8", "data": signed(sample) });
        client.post("/v2/models/svdf/infer", &json!({ "parameters": parameters, "inputs": [tensor] }))
    };
    let data = |answer: &Answer| answer.json()["outputs"][0]["data"].clone();

    let model_file = ModelFile::from_bytes("file", &file);
    let model = model_file.model().unwrap();
    let mut states = [const { None::<Vec<u8>> }; 2];
    let (mut differ, steps) = (false, 6u64);
    for step in 0..steps {
        for (which, state) in states.iter_mut().enumerate() {
            let sample = noise(elements, 1 + step * 2 + which as u64);
            let id = if which == 0 { json!(7) } else { json!("seven") };
            let answer = ask(
                &sample,
                json!({ "sequence_id": id, "sequence_start": step == 0, "sequence_end": step + 1 == steps }),
            );
            let inputs = [sample.clone()];
            let (wanted, after) =
                run::once(&model, model_file.operators(), &inputs, state.as_deref()).unwrap();
            *state = Some(after);
            assert_eq!(data(&answer), json!(signed(&wanted.concat())), "step {step} of {which}");
            // Without a sequence, each request begins with the model's own state.
            let alone = ask(&sample, json!({}));
            assert_eq!(data(&alone), json!(signed(&device(&file, &inputs)[0])));
            differ |= data(&alone) != data(&answer);
        }
    }
    assert!(differ, "the state has no effect on the answers");

    let sample = noise(elements, 99);
    let ended = ask(&sample, json!({ "sequence_id": 7 }));
    assert!(ended.status == 400 && ended.error().contains("sequence_start"), "{}", ended.error());
    for id in [1, 2] {
        assert_eq!(ask(&sample, json!({ "sequence_id": id, "sequence_start": true })).status, 200);
    }
    let third = ask(&sample, json!({ "sequence_id": 3, "sequence_start": true }));
    assert!(third.status == 503 && third.error().contains("2 sequences are open"), "{}", third.error());
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(ask(&sample, json!({ "sequence_id": 3, "sequence_start": true })).status, 200);
    assert_eq!(ask(&sample, json!({ "sequence_id": 1 })).status, 400);
    assert_eq!(ask(&sample, json!({ "sequence_id": [1] })).status, 400);
    // A client that has lost its sequence's name gets no answers of the first state.
    for (parameters, words) in [
        (json!({ "sequence_start": true }), "sequence_start is true with no sequence_id"),
        (json!({ "sequence_end": true, "sequence_id": null }), "sequence_end is true with no sequence_id"),
        (json!({ "sequence_start": true, "sequence_id": "" }), "with the sequence_id \"\""),
        (json!({ "sequence_start": true, "sequence_id": 0 }), "with the sequence_id 0"),
        (json!({ "sequence_id": "" }), "sequence_id is \"\", which names no sequence"),
        (json!({ "sequence_id": 0 }), "sequence_id is 0, which names no sequence"),
    ] {
        let answer = ask(&sample, parameters);
        assert!(answer.status == 400 && answer.error().contains(words), "{}", answer.error());
    }
    assert_eq!(ask(&sample, json!({ "sequence_start": false, "sequence_end": false })).status, 200);
    server.stop().unwrap();
}

/// Two files of one name and version: the log says which one answers, now and when that changes.
#[test]
fn the_log_says_which_of_two_files_answers() {
    let desk = Desk::new();
    let (sine, digits) = (sine(), converted("models/digits_mlp/digits_mlp_int8_tf.tflite"));
    desk.put("digits/1/model.ferro", &digits);
    let server = desk.start(Options::default());
    let mut client = Client::new(server.address());
    let elements =
        |client: &mut Client| client.get("/v2/models/digits").json()["inputs"][0]["shape"][1].clone();
    assert_eq!(elements(&mut client), 64);

    let other = desk.path("digits.ferro").display().to_string();
    let first = desk.path("digits/1/model.ferro").display().to_string();
    let said = |text: &str| desk.log.lock().unwrap().iter().filter(|line| line.contains(text)).count();
    let loaded = format!("digits version 1: loaded from {other}");
    desk.put("digits.ferro", &sine);
    desk.wait_for(&format!("{other}: left out: digits version 1 is {first} already"));
    assert_eq!((said(&loaded), elements(&mut client)), (0, json!(64)));
    // The one that answers is changed, and the other one is not spoken of again.
    desk.put("digits/1/model.ferro", &[]);
    desk.wait_for("the one before is served on");
    assert_eq!((said(&loaded), said("left out"), elements(&mut client)), (0, 1, json!(64)));

    fs::remove_file(desk.path("digits/1/model.ferro")).unwrap();
    desk.wait_for(&loaded);
    assert_eq!((said("its file is gone"), elements(&mut client)), (1, json!(1)));
    // It comes back, and goes before.
    desk.put("digits/1/model.ferro", &digits);
    let began = Instant::now();
    while said("left out") < 2 {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", desk.log.lock().unwrap());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(elements(&mut client), 64);
    assert_eq!(said(&format!("digits version 1: loaded from {first}")), 2);
    fs::remove_file(desk.path("digits.ferro")).unwrap();

    // An update beside the model file of its version is for devices, and a second one of the version is left out.
    let update = update::sign(&ModelFile::from_bytes("sine", &sine), 1, &[3; 32]).unwrap();
    desk.put("digits/1/a.update", &update.bytes);
    desk.wait_for(&format!("for devices; the model of {first} answers"));
    desk.put("digits.update", &update.bytes);
    let in_folder = desk.path("digits/1/a.update").display().to_string();
    desk.wait_for(&format!("digits.update: left out: digits version 1 is {in_folder} already"));
    assert_eq!(client.get("/v1/updates/digits").body, update.bytes);
    assert_eq!(elements(&mut client), 64);
    server.stop().unwrap();
}

/// A file with the number that convolutions in segments had before.
fn earlier() -> Vec<u8> {
    let options = ConvertOptions { target: Target::CortexM4, ..ConvertOptions::default() };
    let source = repository().join("tests/vectors/conv_2d/groups_2.tflite");
    let made = convert(&source, &options, &()).unwrap();
    let model = made.file.model().unwrap();
    let op = model.ops().iter().find(|op| op.code == OpCode::Conv2dSegments as u16).unwrap();
    let mut bytes = made.file.bytes().to_vec();
    bytes[std::ptr::from_ref(op) as usize - made.file.bytes().as_ptr() as usize] = 70;
    let (crc, _) = model.checksum().unwrap();
    bytes[crc..crc + 4].fill(0);
    let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&bytes);
    bytes[crc..crc + 4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// A file of an earlier Ferrolite is refused once, with the command that helps.
#[test]
fn a_file_of_an_earlier_version_names_the_road() {
    let desk = Desk::new();
    let old = fs::read(repository().join("tests/models/sine/version_1.ferro")).unwrap();
    desk.put("old.ferro", &old);
    let server = desk.start(Options::default());
    desk.wait_for("is of format version 1; this server reads version 2");
    let log = desk.log.lock().unwrap();
    let line = log.iter().find(|line| line.contains("format version 1")).unwrap();
    assert_eq!(line.matches("`ferrolite convert").count(), 1, "{line}");
    drop(log);

    // One with the number that convolutions in segments had last.
    desk.put("segments.ferro", &earlier());
    desk.wait_for("`ferrolite upgrade OLD.ferro -o NEW.ferro`");
    server.stop().unwrap();
}

#[test]
fn devices_fetch_updates_whole_or_in_pieces() {
    let desk = Desk::new();
    let file = ModelFile::from_bytes("sine", &sine());
    let seven = update::sign(&file, 7, &[3; 32]).unwrap();
    let eight = update::sign(&file, 8, &[3; 32]).unwrap();
    desk.put("sine/7/sine.update", &seven.bytes);
    desk.put("sine/6/sine.update", &seven.bytes);
    desk.put("sine/5/sine.update", &update::sign(&file, 5, &[4; 32]).unwrap().bytes);
    desk.put("sine/4/sine.update", &sine());
    let server = desk.start(Options { public_key: Some(seven.public_key), ..Options::default() });
    for words in
        ["folder of version 6, and was signed as version 7", "not signed by this key", "is no signed update"]
    {
        desk.wait_for(words);
    }
    let mut client = Client::new(server.address());
    // The model in the update answers, too.
    assert_eq!(client.get("/v1/models/sine").json()["model_version_status"][0]["version"], "7");

    let whole = client.get("/v1/updates/sine");
    assert_eq!((whole.status, &whole.body), (200, &seven.bytes));
    assert_eq!(whole.header("ferrolite-version"), Some("7"));
    let tag = whole.header("etag").unwrap().to_string();
    // As a device does it: the manifest, then pieces.
    let mut received = client.get("/v1/updates/sine/manifest").body;
    assert_eq!(received.len(), 120);
    while received.len() < seven.bytes.len() {
        let headers =
            format!("range: bytes={}-{}\r\nif-match: {tag}\r\n", received.len(), received.len() + 99);
        let piece = client.ask("GET", "/v1/updates/sine", &headers, b"").unwrap();
        assert_eq!(piece.status, 206);
        let range = format!(
            "bytes {}-{}/{}",
            received.len(),
            received.len() + piece.body.len() - 1,
            seven.bytes.len()
        );
        assert_eq!(piece.header("content-range"), Some(range.as_str()));
        received.extend(piece.body);
    }
    assert_eq!(received, seven.bytes);
    let ask = |client: &mut Client, path: &str, headers: &str| {
        client.ask("GET", path, headers, b"").unwrap().status
    };
    assert_eq!(ask(&mut client, "/v1/updates/sine", "range: bytes=999999-\r\n"), 416);
    assert_eq!(ask(&mut client, "/v1/updates/sine", &format!("if-none-match: {tag}\r\n")), 304);
    assert_eq!(ask(&mut client, "/v1/updates/sine?above=6", ""), 200);
    assert_eq!(ask(&mut client, "/v1/updates/sine?above=7", ""), 204);
    assert_eq!(ask(&mut client, "/v1/updates/sine?above=x", ""), 400);
    assert_eq!(ask(&mut client, "/v1/updates/sine/versions/6", ""), 404);
    assert_eq!(ask(&mut client, "/v1/updates/other", ""), 404);
    let head = client.ask("HEAD", "/v1/updates/sine", "", b"").unwrap();
    assert_eq!(head.header("content-length"), Some(seven.bytes.len().to_string().as_str()));

    // A newer one: pieces of the old one end, its version is still there.
    desk.put("sine/8/sine.update", &eight.bytes);
    desk.wait_for("sine version 8: loaded");
    let headers = format!("range: bytes=120-\r\nif-match: {tag}\r\n");
    assert_eq!(ask(&mut client, "/v1/updates/sine", &headers), 412);
    assert_eq!(ask(&mut client, "/v1/updates/sine/versions/7", &headers), 206);
    assert_eq!(client.get("/v1/updates/sine?above=7").body, eight.bytes);
    server.stop().unwrap();
}

/// Too many requests at once are refused, slow bodies end, and probes are answered all the same.
#[test]
fn limits_hold() {
    let desk = Desk::new();
    desk.put("sine.ferro", &sine());
    let options = Options { requests: 1, timeout: Duration::from_secs(2), ..Options::default() };
    let server = desk.start(options);
    let mut slow = Client::new(server.address());
    let head = "POST /v1/models/sine:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    slow.0.get_mut().write_all(head.as_bytes()).unwrap();
    let mut client = Client::new(server.address());
    let body = json!({ "instances": [1] });
    // The page counts the request for itself.
    let began = Instant::now();
    while !String::from_utf8(client.get("/metrics").body).unwrap().contains("ferrolite_requests_in_flight 2")
    {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    let refused = client.post("/v1/models/sine:predict", &body);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert!(refused.error().contains("too many requests"));
    assert_eq!(client.get("/v2/health/ready").status, 200);
    assert_eq!(slow.answer(false).unwrap().status, 408);
    assert_eq!(client.post("/v1/models/sine:predict", &body).status, 200);
    server.stop().unwrap();
}

/// A request that has begun is answered after the server was told to stop; then nobody listens.
#[test]
fn a_server_that_stops_ends_what_has_begun() {
    let desk = Desk::new();
    desk.put("sine.ferro", &sine());
    let server = desk.start(Options::default());
    let address = server.address();
    let body = json!({ "instances": [1] }).to_string();
    let mut client = Client::new(address);
    assert_eq!(client.get("/v2/health/ready").status, 200);
    let head =
        format!("POST /v1/models/sine:predict HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    client.0.get_mut().write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let stopping = std::thread::spawn(move || server.stop());
    std::thread::sleep(Duration::from_millis(200));
    client.0.get_mut().write_all(body.as_bytes()).unwrap();
    let answer = client.answer(false).unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    stopping.join().unwrap().unwrap();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn tls_is_spoken_and_wrong_files_are_refused() {
    let desk = Desk::new();
    desk.put("sine.ferro", &sine());
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let keys = tempfile::tempdir().unwrap();
    let (chain, key) = (keys.path().join("chain.pem"), keys.path().join("key.pem"));
    fs::write(&chain, certified.cert.pem()).unwrap();
    fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let server = desk.start(Options { tls: Some((chain.clone(), key.clone())), ..Options::default() });

    let root = ureq::tls::Certificate::from_der(certified.cert.der()).to_owned();
    let tls =
        ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::new_with_certs(&[root])).build();
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().tls_config(tls).build());
    let url = format!("https://localhost:{}/v1/models/sine:predict", server.address().port());
    let answer = agent.post(&url).send(json!({ "instances": [0.5] }).to_string()).unwrap();
    let text = answer.into_body().read_to_string().unwrap();
    assert!(text.contains("predictions"), "{text}");
    server.stop().unwrap();

    let other = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let wrong = keys.path().join("wrong.pem");
    fs::write(&wrong, other.signing_key.serialize_pem()).unwrap();
    for (chain, key, words) in [
        (&chain, &wrong, "does not go with"),
        (&chain, &chain, "no PEM file of a private key"),
        (&key, &key, "has no certificate"),
        (&keys.path().join("absent"), &key, "cannot be read"),
    ] {
        let options = Options { tls: Some((chain.clone(), key.clone())), ..Options::default() };
        let error = Server::start(desk.folder.path(), &options, |_| ()).err().unwrap();
        assert!(error.message.contains(words), "{error:?}");
    }
}

/// The command prints where it listens, and ends with 0 when it is told to.
#[cfg(unix)]
#[test]
fn the_command_says_where_and_ends_when_told() {
    use std::process::{Command, Stdio};

    let desk = Desk::new();
    desk.put("sine.ferro", &sine());
    let mut child = Command::new(env!("CARGO_BIN_EXE_ferrolite"))
        .args(["serve", desk.folder.path().to_str().unwrap(), "--http", "127.0.0.1:0", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(said["models"], json!([{ "name": "sine", "versions": [1] }]));
    let address = said["address"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    assert_eq!(Client::new(address).get("/v2/health/live").status, 200);
    let status = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");

    let run = |words: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_ferrolite")).arg("serve").args(words).output().unwrap()
    };
    let refused = run(&["absent"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("absent: cannot be read"));
    assert_eq!(run(&[".", "--tls-cert", "x"]).status.code(), Some(2));
    assert_eq!(run(&[".", "--timeout", "0"]).status.code(), Some(2));
    assert_eq!(run(&[".", "--http", "nowhere"]).status.code(), Some(1));
}
