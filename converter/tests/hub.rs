//! Tests of `hub`: the models that come with the program are what their index says, and models of folders, servers and
//! other programs' caches are taken only when hash and answers are right.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ferrolite::hub::{Hub, Wanted, index};
use serde_json::{Value, json};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("hub")
}

/// A folder in which the command runs, with caches of its own.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, words: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ferrolite"))
            .current_dir(self.0.path())
            .args(words.split_whitespace())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("KAGGLEHUB_CACHE", self.path("kaggle"))
            .env("HF_HUB_CACHE", self.path("faces"))
            .env_remove("FERROLITE_HUB")
            .output()
            .unwrap()
    }

    fn json(&self, words: &str) -> Value {
        let output = self.run(words);
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn bad(&self, words: &str, code: i32, message: &str) {
        let output = self.run(words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words}: {stderr}");
        let lines: Vec<&str> = stderr.lines().collect();
        assert!(lines.len() == 2 && lines[0].contains(message), "{words}: {stderr}");
        assert!(lines[1].starts_with("help: ") && output.stdout.is_empty(), "{words}: {stderr}");
    }

    /// A hub of one model, `sine`.
    fn hub(&self) {
        for file in ["entry.json", "model.tflite", "vectors.npz"] {
            fs::create_dir_all(self.path("hub/sine")).unwrap();
            fs::copy(shipped().join("sine").join(file), self.path("hub/sine").join(file)).unwrap();
        }
        assert_eq!(self.json("hub index hub --no-boards --json")["models"], 1);
    }

    /// Changes the index.
    fn change(&self, change: impl Fn(&mut Value)) {
        let path = self.path("hub/index.json");
        let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut index);
        fs::write(path, index.to_string()).unwrap();
    }
}

/// Costs on boards need QEMU, and stand as they are here; `ferrolite hub index converter/hub --check` renews them, too.
#[test]
fn the_index_of_this_program_is_what_its_files_give() {
    let text = fs::read(shipped().join("index.json")).unwrap();
    let before = serde_json::from_slice(&text).unwrap();
    let made = index(&shipped(), None, Some(&before), &[], &()).unwrap();
    for (made, before) in made.entries.iter().zip(&before.entries) {
        assert_eq!(made, before, "renew it: ferrolite hub index converter/hub");
    }
    assert_eq!(made.entries.len(), before.entries.len());
    let hub = Hub::open(None).unwrap();
    assert_eq!(hub.entries, before.entries);
    for entry in &hub.entries {
        let figures = entry.figures.as_ref().unwrap();
        assert!(figures.vectors.is_some() && !figures.boards.is_empty(), "{}", entry.name);
        assert!(!entry.licence.is_empty() && entry.source.sha256.len() == 64, "{}", entry.name);
        // What lies elsewhere is not fetched in a test.
        if !entry.source.file.starts_with("https://") {
            let taken = hub.take(entry, &Wanted::default(), &()).unwrap();
            assert_eq!(taken.vectors, figures.vectors, "{}", entry.name);
            assert_eq!(taken.file.bytes().len() as u64, figures.model_bytes, "{}", entry.name);
        }
    }
}

#[test]
fn models_are_listed_shown_taken_and_run() {
    let desk = Desk::new();
    let list = desk.json("hub list --json");
    assert!(list["models"].as_array().unwrap().len() > 5);
    let shown = desk.json("hub show digits --json");
    assert!(shown["figures"]["accuracy"]["share"].as_f64().unwrap() > 0.98, "{shown}");
    let got = desk.json("hub get digits --labels labels.txt --target cortex-m4 --json");
    assert_eq!((&got["output"], &got["vectors"]), (&json!("digits.ferro"), &json!(8)));
    assert_eq!(fs::read_to_string(desk.path("labels.txt")).unwrap().lines().count(), 10);
    let facts = desk.json("inspect digits.ferro --json");
    assert_eq!(facts["name"], "digits");
    assert_eq!((&facts["source_hash"], &facts["target"]), (&shown["source"]["sha256"], &json!("cortex-m4")));
    // A part of a model: its hidden layer.
    let cut = facts["ops"][0]["name"].as_str().unwrap().to_string();
    let source = shipped().join("digits/model.tflite");
    let whole = desk.json(&format!("inspect {} --json", source.display()));
    assert!(whole["ops"].as_array().unwrap().iter().any(|op| op["name"] == cut.as_str()), "{cut}");
    let part = desk.json(&format!("hub get digits -o part.ferro --cut {cut} --json"));
    assert!(
        part["vectors"].is_null() && part["model_bytes"].as_u64() < got["model_bytes"].as_u64(),
        "{part}"
    );
    let data = format!("{}:in0", shipped().join("digits/vectors.npz").display());
    let ran = desk.json(&format!("hub run digits --input {data} --json"));
    assert_eq!(ran["samples"], 8);
    desk.bad("hub show nothing", 1, "has no model `nothing`");
    desk.bad("hub get sine --labels l.txt", 1, "has no labels");
    desk.bad("hub list --index absent", 1, "absent: cannot be read");
    desk.bad("hub get", 2, "missing");
    desk.bad("hub get sine -o labels.txt", 1, "Ferrolite did not write it");
}

#[test]
fn what_is_not_as_the_index_says_is_refused() {
    let desk = Desk::new();
    desk.hub();
    let get = "hub get sine --index hub -o out.ferro";
    assert_eq!(desk.json(&format!("{get} --json"))["vectors"], 8);
    assert_eq!(desk.run("hub index hub --no-boards --check").status.code(), Some(0));

    // A vector with another answer.
    let mut vectors = fs::read(desk.path("hub/sine/vectors.npz")).unwrap();
    let other = fs::read(shipped().join("digits/vectors.npz")).unwrap();
    fs::write(desk.path("hub/sine/vectors.npz"), &other).unwrap();
    desk.bad(get, 1, "it is another file, or damaged");
    desk.bad("hub index hub --no-boards", 1, "model `sine`");
    let wrong = vec![0u8; 8];
    let array = |name: &str, bytes: Vec<u8>| ferrolite::data::npz::NamedArray {
        name: name.into(),
        dtype: ferrolite::graph::DType::Int8,
        shape: vec![8, 1, 1],
        bytes,
    };
    let file = fs::File::create(desk.path("hub/sine/vectors.npz")).unwrap();
    ferrolite::data::npz::write(&[array("in0", (0..8).collect()), array("out0", wrong)], file).unwrap();
    desk.bad("hub index hub --no-boards", 1, "is another");
    fs::write(desk.path("hub/sine/vectors.npz"), &vectors).unwrap();
    vectors.clear();

    // A model with one changed byte, one that is gone, and an index that others wrote.
    let model = fs::read(desk.path("hub/sine/model.tflite")).unwrap();
    let mut changed = model.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(desk.path("hub/sine/model.tflite"), changed).unwrap();
    desk.bad(get, 1, "model `sine`: sine/model.tflite has the SHA-256");
    desk.bad("hub index hub --no-boards --check", 1, "is not what its entries give: sine");
    fs::remove_file(desk.path("hub/sine/model.tflite")).unwrap();
    desk.bad(get, 1, "cannot be read");
    desk.bad("hub index hub --no-boards", 1, "cannot be read");
    fs::write(desk.path("hub/sine/model.tflite"), model).unwrap();
    desk.change(|index| index["format"] = json!(2));
    desk.bad(get, 1, "is an index of format 2, this ferrolite reads format 1");
    desk.change(|index| *index = json!({ "format": 1 }));
    desk.bad(get, 1, "is no index of models");
    fs::write(desk.path("hub/sine/entry.json"), "{}").unwrap();
    desk.bad("hub index hub --no-boards", 1, "is no entry");
}

/// An index is what others wrote: it reads no file outside of its folder, and its texts do nothing to a terminal.
#[test]
fn an_index_of_others_is_not_trusted() {
    let desk = Desk::new();
    desk.hub();
    fs::write(desk.path("secret"), "secret").unwrap();
    let good = fs::read_to_string(desk.path("hub/index.json")).unwrap();
    let get = "hub get sine --index hub -o out.ferro";
    let with = |change: &dyn Fn(&mut Value)| {
        fs::write(desk.path("hub/index.json"), &good).unwrap();
        desk.change(change);
    };
    let absolute = desk.path("secret").display().to_string();
    for file in ["../secret", "sine/../../secret", &absolute, "..\\secret", "/etc/passwd", ""] {
        for field in ["source", "vectors"] {
            with(&|index| index["entries"][0][field]["file"] = json!(file));
            desk.bad(get, 1, "leads out of the hub's folder");
            let error = String::from_utf8(desk.run(get).stderr).unwrap();
            assert!(!error.contains("SHA-256"), "{error}");
        }
    }
    // A server's index, too.
    with(&|index| index["entries"][0]["source"]["file"] = json!("../secret"));
    if cfg!(feature = "fetch") {
        let address = serve(desk.path("hub"), 1);
        desk.bad(&format!("hub get sine --index {address} -o out.ferro"), 1, "leads out of the hub's folder");
    }

    // What would steer a terminal is shown, not obeyed.
    with(&|index| {
        index["entries"][0]["summary"] = json!("\u{1b}]0;pwn\u{7}\u{1b}[2J\u{202e}");
        index["entries"][0]["licence"] = json!("MIT\nlicence of more");
    });
    for words in ["hub list --index hub", "hub show sine --index hub"] {
        let output = desk.run(words);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("\\u{1b}]0;pwn\\u{7}\\u{1b}[2J\\u{202e}"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']) && text.contains("MIT\\nlicence"), "{text}");
    }
    for name in ["../../evil", "a\nb", "", "/a", "a/../b", "\u{1b}[2J"] {
        with(&|index| index["entries"][0]["name"] = json!(name));
        desk.bad("hub list --index hub", 1, "is no name of a model");
    }

    // Two models of one name, a size that is none, and labels that would be more lines than classes.
    with(&|index| {
        let again = index["entries"][0].clone();
        index["entries"].as_array_mut().unwrap().push(again);
    });
    desk.bad("hub list --index hub", 1, "entry 1: there is a model `sine` already");
    for field in ["source", "vectors"] {
        with(&|index| index["entries"][0][field]["bytes"] = json!(1));
        desk.bad(get, 1, "bytes, its index says 1");
    }
    with(&|index| index["entries"][0]["labels"] = json!(["one", "two\nthree"]));
    desk.bad(get, 1, "label 1, \"two\\nthree\", has a line break");

    // No JSON that an index could be, in plain words.
    for (text, words) in [
        ("[]", "index.json is no index of models: found a list, expected an object"),
        ("[1]", "found a list, expected an object"),
        ("{\"format\":\"x\"}", "found string \"x\", expected a whole number"),
        ("{\"format\":1,\"entries\":[[]]}", "is no index of models: found a list"),
        ("{\"format\":1,\"entries\":{}}", "found an object, expected a list"),
        ("{", "is no index of models"),
    ] {
        fs::write(desk.path("hub/index.json"), text).unwrap();
        desk.bad("hub list --index hub", 1, words);
        let error = String::from_utf8(desk.run("hub list --index hub").stderr).unwrap();
        assert!(!error.contains("struct") && !error.contains("sequence"), "{error}");
    }
}

/// `hub index` writes nothing that a static server could not serve, and leaves out no word of an entry in silence.
#[test]
fn entries_that_no_hub_can_have_are_refused() {
    let desk = Desk::new();
    desk.hub();
    let path = desk.path("hub/sine/entry.json");
    let good: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let refused = |change: &dyn Fn(&mut Value), words: &str| {
        let mut entry = good.clone();
        change(&mut entry);
        fs::write(&path, entry.to_string()).unwrap();
        desk.bad("hub index hub --no-boards", 1, words);
        let error = String::from_utf8(desk.run("hub index hub --no-boards").stderr).unwrap();
        assert_eq!(error.matches("model `sine`").count(), 1, "{error}");
        error
    };
    let model = desk.path("hub/sine/model.tflite").display().to_string();
    for file in [&model, "../../hub/sine/model.tflite", "../sine/model.tflite"] {
        refused(&|entry| entry["source"]["file"] = json!(file), "source is the file");
        refused(&|entry| entry["vectors"]["file"] = json!(file), "vectors is the file");
    }
    refused(&|entry| entry["licnce"] = json!("MIT"), "there is no field \"licnce\"");
    refused(&|entry| entry["source"]["sha"] = json!("0"), "there is no field \"source.sha\"");
    let address = "https://example.org/sine.tflite";
    refused(&|entry| entry["source"] = json!({ "file": address }), "with no sha256");
    refused(&|entry| entry["source"] = json!({ "file": address, "sha256": "x", "bytes": 1 }), "sha256 \"x\"");
    refused(&|entry| entry["source"] = json!({ "file": address, "sha256": "a".repeat(64) }), "with no bytes");
    refused(&|entry| entry["labels"] = json!(["a\nb"]), "label 0");
    refused(&|entry| *entry = json!([]), "entry.json is no entry: found a list");

    // A file that lies elsewhere, and is at hand under another name.
    fs::rename(desk.path("hub/sine/model.tflite"), desk.path("mine.tflite")).unwrap();
    fs::create_dir_all(desk.path("at-hand")).unwrap();
    fs::rename(desk.path("mine.tflite"), desk.path("at-hand/mine.tflite")).unwrap();
    let index: Value = serde_json::from_slice(&fs::read(desk.path("hub/index.json")).unwrap()).unwrap();
    let mut entry = good.clone();
    entry["source"] = index["entries"][0]["source"].clone();
    entry["source"]["file"] = json!(address);
    fs::write(&path, entry.to_string()).unwrap();
    assert_eq!(desk.json("hub index hub --no-boards --files at-hand --json")["notes"], json!([]));
    let made: Value = serde_json::from_slice(&fs::read(desk.path("hub/index.json")).unwrap()).unwrap();
    assert_eq!(made["entries"][0]["figures"], index["entries"][0]["figures"]);
    // An index that was made before has no hash of it.
    desk.change(|index| index["entries"][0]["source"]["sha256"] = json!(""));
    desk.bad("hub get sine --index hub -o o.ferro", 1, "the index has no SHA-256 for https://example.org");
}

/// Errors call files what the index calls them, not what their copies are called for a moment.
#[test]
fn errors_name_files_of_the_index() {
    let desk = Desk::new();
    let output = desk.run("hub get digits -o out.ferro --cut nope");
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("model `digits`: digits/model.tflite: ") && error.contains("nope"), "{error}");
    assert!(!error.contains(std::env::temp_dir().to_str().unwrap()), "{error}");

    desk.hub();
    fs::write(desk.path("hub/sine/vectors.npz"), "no archive").unwrap();
    let error = String::from_utf8(desk.run("hub index hub --no-boards").stderr).unwrap();
    assert!(error.contains("model `sine`: sine/vectors.npz: ") && !error.contains(".tmp"), "{error}");
}

/// Serves a folder's files to so many requests, as any static server does.
fn serve(folder: PathBuf, requests: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().take(requests) {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap().trim_start_matches('/');
            let (status, body) = match fs::read(folder.join(path)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")
                .unwrap();
            let _ = stream.write_all(&body);
        }
    });
    address
}

#[cfg(feature = "fetch")]
#[test]
fn a_hub_on_a_server_is_fetched_once_and_checked() {
    let desk = Desk::new();
    desk.hub();
    // The index, the model and the vectors; then the index alone, since the rest is in the cache.
    let address = serve(desk.path("hub"), 4);
    for _ in 0..2 {
        let got = desk.json(&format!("hub get sine --index {address} -o out.ferro --json"));
        assert_eq!(got["vectors"], 8);
    }
    // Another file under the same name is longer than the index says, or has another hash.
    fs::remove_dir_all(desk.path("cache")).unwrap();
    let model = fs::read(desk.path("hub/sine/model.tflite")).unwrap();
    let get = |address: &str| format!("hub get sine --index {address}/index.json -o out.ferro");
    fs::write(desk.path("hub/sine/model.tflite"), [&model[..], b"more"].concat()).unwrap();
    desk.bad(&get(&serve(desk.path("hub"), 2)), 1, "it has more than");
    fs::write(desk.path("hub/sine/model.tflite"), &model[1..]).unwrap();
    desk.bad(&get(&serve(desk.path("hub"), 2)), 1, "it is another file, or damaged");
    fs::remove_file(desk.path("hub/sine/model.tflite")).unwrap();
    desk.bad(&get(&serve(desk.path("hub"), 2)), 1, "there is no such file (404)");
    assert!(
        !desk.path("cache/ferrolite/hub").exists()
            || fs::read_dir(desk.path("cache/ferrolite/hub")).unwrap().count() == 0
    );
    desk.bad("hub list --index http://127.0.0.1:1", 1, "cannot be fetched");
}

#[cfg(unix)]
#[test]
fn caches_of_other_programs_are_hubs() {
    let desk = Desk::new();
    desk.bad("hub list --index kagglehub", 1, "there is no such cache");
    let model = shipped().join("sine/model.tflite");
    let kaggle = desk.path("kaggle/models/owner/name/tfLite/small/3");
    fs::create_dir_all(&kaggle).unwrap();
    fs::copy(&model, kaggle.join("model.tflite")).unwrap();
    // Snapshots link to blobs.
    let face = desk.path("faces/models--org--sine/snapshots/0123abcd");
    let blobs = desk.path("faces/models--org--sine/blobs");
    fs::create_dir_all(&face).unwrap();
    fs::create_dir_all(&blobs).unwrap();
    fs::copy(&model, blobs.join("feed")).unwrap();
    std::os::unix::fs::symlink("../../blobs/feed", face.join("model.tflite")).unwrap();
    fs::write(face.join("README.md"), "---\nlicense: mit\ntags: [x]\n---\n# A sine\n").unwrap();

    let list = desk.json("hub list --index huggingface --json");
    let entry = &list["models"][0];
    assert_eq!((&entry["name"], &entry["licence"]), (&json!("org/sine/model.tflite"), &json!("mit")));
    assert_eq!(
        (&entry["summary"], &entry["provenance"]),
        (&json!("A sine"), &json!("https://huggingface.co/org/sine"))
    );
    for (index, name) in
        [("huggingface", "org/sine/model.tflite"), ("kagglehub", "owner/name/tfLite/small/3/model.tflite")]
    {
        let got = desk.json(&format!("hub get {name} --index {index} -o {index}.ferro --json"));
        assert!(got["vectors"].is_null() && got["notes"].to_string().contains("no vectors"), "{got}");
    }
    assert_eq!(
        fs::read(desk.path("huggingface.ferro")).unwrap(),
        fs::read(desk.path("kagglehub.ferro")).unwrap()
    );
}
