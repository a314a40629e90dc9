//! Recognises files that no importer reads, and says how to get a file that can be converted.

use std::path::Path;

const ONNX: &str = "export it to ONNX with its framework, and convert the .onnx file";

/// What a file or a directory (which has no head) is, and what to do with it, if it is known.
pub fn tell(path: &Path, head: &[u8]) -> Option<(&'static str, &'static str)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let ending = Path::new(&name).extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
    by_contents(&ending, head).or_else(|| by_name(&name, &ending, head.is_empty()))
}

/// Recognises a file by its first bytes.
fn by_contents(ending: &str, head: &[u8]) -> Option<(&'static str, &'static str)> {
    const TORCH: (&str, &str) = (
        "is a PyTorch checkpoint, which holds weights and Python objects but no network that can be read",
        "export the network to ONNX in Python, with torch.onnx.export(model.eval(), sample, \"model.onnx\"), and \
         convert model.onnx; weights alone (a state_dict) are loaded into the network's class before",
    );
    let holds = |text: &str| head.windows(text.len()).any(|window| window == text.as_bytes());
    let named = |endings: &[&str]| endings.contains(&ending);
    let torch = named(&["pt", "pth", "ptl", "ckpt", "bin"]);
    if head.starts_with(b"PK")
        && (holds("/data.pkl") || holds("/version") || holds("/constants.pkl") || torch)
    {
        return Some(TORCH);
    }
    // This is a pickle. Before 2020, PyTorch wrote several, one after the other.
    if matches!(head, [0x80, 2..=5, ..]) {
        return Some(match torch {
            true => TORCH,
            false => (
                "is a pickled Python object, not a model file",
                "export the model in Python: torch.onnx.export for PyTorch, skl2onnx for scikit-learn, model.export \
                 for Keras; then convert that",
            ),
        });
    }
    if head.get(8) == Some(&b'{') && (holds("\"__metadata__\"") || holds("\"dtype\"")) {
        return Some((
            "is a safetensors file, which holds weights but no network",
            "load it into the network in Python and export that: torch.onnx.export(model, sample, \"model.onnx\") for \
             PyTorch, model.export(\"folder\") for Keras; then convert the result",
        ));
    }
    if head.get(4..8) == Some(b"ORTM") {
        return Some(("is in ONNX Runtime's own format", "convert the .onnx file that it was made from"));
    }
    if head.get(4..6) == Some(b"ET") && named(&["pte"]) {
        return Some((
            "is an ExecuTorch program",
            "export the network to ONNX with torch.onnx.export instead, and convert that",
        ));
    }
    let array = named(&["c", "cc", "cpp", "cxx", "h", "hh", "hpp", "ino"]) && (holds("[]") || holds("0x"));
    array.then_some((
        "is a C array, source code that holds the bytes of a model",
        "convert the .tflite file that it was made from; if that is lost, get its bytes back with: \
         grep -o '0x[0-9a-fA-F]\\{1,2\\}' FILE | xxd -r -p > model.tflite",
    ))
}

/// Recognises a file by its name.
fn by_name(name: &str, ending: &str, directory: bool) -> Option<(&'static str, &'static str)> {
    if name.ends_with(".onnx.data") || name.ends_with(".onnx_data") {
        return Some((
            "holds the weights of an ONNX model, not the model",
            "give the .onnx file beside it; it finds its data by itself",
        ));
    }
    if name == "saved_model.pb" {
        return Some(("is a part of a SavedModel", "give the folder that it lies in"));
    }
    if name.ends_with(".index") || name.contains(".data-0000") || name == "checkpoint" {
        return Some((
            "is a part of a TensorFlow checkpoint, which holds weights but no network",
            "load it into the model in Python, export a SavedModel (`model.export(\"folder\")`), and convert the folder",
        ));
    }
    Some(match ending {
        "pt" | "pth" | "ptl" => (
            "has the name of a PyTorch checkpoint",
            "export the network to ONNX in Python with torch.onnx.export(model.eval(), sample, \"model.onnx\"), and \
             convert that",
        ),
        "safetensors" => (
            "has the name of a safetensors file, which holds weights but no network",
            "load it into the network in Python, export that to ONNX or as a SavedModel, and convert the result",
        ),
        "pbtxt" => (
            "is a graph of TensorFlow 1 as text, which is not read",
            "write it in binary: tf.io.write_graph(graph, folder, \"graph.pb\", as_text=False), with its variables frozen",
        ),
        "mlmodel" | "mlpackage" | "mlmodelc" => ("is a Core ML model, which is not read", ONNX),
        "pdmodel" | "pdiparams" => {
            ("is a PaddlePaddle model", "make an .onnx file of it with paddle2onnx, and convert that")
        }
        "caffemodel" | "prototxt" => ("is a Caffe model", ONNX),
        "weights" | "cfg" => ("is a Darknet model", ONNX),
        "joblib" | "pkl" | "pickle" => (
            "is a pickled Python object, not a model file",
            "make an .onnx file of the model with skl2onnx, and convert that",
        ),
        "gguf" | "ggml" => ("is a language model of llama.cpp, far beyond a microcontroller", ONNX),
        "engine" | "trt" | "plan" | "rknn" | "kmodel" | "hef" | "dlc" | "blob" | "mnn" | "param"
        | "tmfile" => (
            "is a model that was compiled for another runtime",
            "convert the trained model that it was made from: .tflite, .onnx, .keras, .h5 or a SavedModel",
        ),
        "yaml" | "yml" if !directory => (
            "describes a network without its weights, or other things than a network",
            "save the model as a whole in Python (`model.save(\"model.keras\")`), and convert that",
        ),
        "zip" | "gz" | "tgz" | "tar" | "7z" | "xz" if !directory => {
            ("is an archive", "unpack it, and give the model in it")
        }
        "npz" | "npy" | "csv" => (
            "holds arrays, not a model",
            "give the trained model first; arrays are samples: `--calibrate FILE`",
        ),
        "py" | "ipynb" => (
            "is a program, not a model file",
            "run it, save the model (`model.export(\"folder\")`, torch.onnx.export), and convert that",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_told_the_way() {
        let cases: [(&str, &[u8], &str, &str); 16] = [
            ("net.pt", b"PK\x03\x04....net/data.pkl\x80\x02", "PyTorch", "onnx"),
            ("net.bin", b"PK\x03\x04....archive/data.pkl", "PyTorch", "torch.onnx.export"),
            ("old.pth", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "PyTorch", "onnx"),
            ("forest", b"\x80\x04\x95", "pickled", "skl2onnx"),
            ("w.safetensors", b"\x40\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\"", "safetensors", "onnx"),
            ("model.cc", b"const unsigned char model[] = { 0x1c, 0x00", "C array", "xxd"),
            ("model.h", b"alignas(16) const uint8_t m[4] = {0x20,", "C array", ".tflite"),
            ("frozen.pbtxt", b"node {", "TensorFlow 1", "as_text=False"),
            ("saved_model.pb", b"\x08\x01", "part of a SavedModel", "folder"),
            ("model.onnx.data", b"\0\0\0\0", "weights of an ONNX model", ".onnx file beside"),
            ("m.data-00000-of-00001", b"\0\0", "checkpoint", "model.export"),
            ("net.mlmodel", b"\x08\x01", "Core ML", "ONNX"),
            ("net.mlpackage", b"", "Core ML", "ONNX"),
            ("net.ort", b"\x1c\0\0\0ORTM", "ONNX Runtime", ".onnx"),
            ("set.npz", b"PK\x03\x04....x.npy", "arrays", "--calibrate"),
            ("net.zip", b"PK\x03\x04....a/saved_model.pb", "archive", "unpack"),
        ];
        for (name, head, what, way) in cases {
            let found = tell(Path::new(name), head).unwrap_or_else(|| panic!("{name} is not known"));
            assert!(found.0.contains(what) && found.1.contains(way), "{name}: {found:?}");
        }
        assert_eq!(tell(Path::new("noise.dat"), b"\xff\xfe\0\x01\x02\x03\x04\x05\x06"), None);
        assert_eq!(tell(Path::new("folder"), b""), None);
    }
}
