//! Layers of TensorFlow Hub (`hub.KerasLayer`), whose network is not in the file: a SavedModel that this machine has.
//!
//! ```text
//! a folder                                        as the layer has it
//! $TFHUB_CACHE_DIR or TMPDIR/tfhub_modules        SHA-1 of the layer's address
//! $KAGGLEHUB_CACHE or ~/.cache/kagglehub          models/OWNER/MODEL/FRAMEWORK/VARIATION/VERSION of an address of Kaggle's
//! ```
//! Such a layer is called with one tensor and gives one. A layer that was trained further has other weights than the module,
//! and is refused.
//! Source followed: tensorflow_hub `resolver.py`, `compressed_module_resolver.py`; kagglehub `cache.py`.

use std::path::{Path, PathBuf};

use super::Context;
use crate::import::keras::run::Translation;
use crate::import::refusal::unsupported;
use crate::import::saved_model;

/// The road where the module is not on this machine.
const ROAD: &str = "`tf.saved_model.save(model, DIR)` writes a SavedModel with it; or run the model once with TFHUB_CACHE_DIR set, \
                    or `kagglehub.model_download`, and convert again";

/// The road where the module has to be called in another way.
const ROAD_WHOLE: &str = "`tf.saved_model.save(model, DIR)` writes a SavedModel of the whole model";

/// Builds the layer.
pub fn build(context: &mut Context<'_, '_>) -> Translation {
    let config = &context.layer.config;
    let handle = config.str_or("handle", "its network")?.to_string();
    let Some(folder) = folder(&handle, &|name| std::env::var_os(name).map(PathBuf::from)) else {
        return unsupported(format!("{handle} is not in this file, nor in a cache of this machine: {ROAD}"));
    };
    let shown = folder.display().to_string();
    if config.bool_or("trainable", false)? {
        return unsupported(format!(
            "it was trained further: `tf.saved_model.save(model, DIR)` writes a SavedModel with its weights, which those of \
             {shown} are not"
        ));
    }
    let signature = config.str_or("signature", "")?;
    if !["", "default", "serving_default"].contains(&signature) {
        return unsupported(format!("it calls the signature `{signature}` of {handle}: {ROAD_WHOLE}"));
    }
    // `training` is told by Keras itself, and is false on a device.
    let arguments = config.get("arguments").and_then(|arguments| arguments.as_object());
    if let Some((word, value)) =
        arguments.into_iter().flatten().find(|(_, value)| value.as_bool() != Some(false))
    {
        return unsupported(format!("it calls {handle} with {word} = {value}: {ROAD_WHOLE}"));
    }
    let (inputs, key) = (context.inputs(), config.str_or("output_key", "")?.to_string());
    let [input] = inputs[..] else {
        return unsupported(format!("{handle} is called with {} tensors", inputs.len()));
    };
    let shape = context.shape(input);
    let imported = match saved_model::called_with(&folder, &shape) {
        Ok(imported) => imported,
        Err(why) => return unsupported(format!("{handle}, which is in {shown}: {}", why.message)),
    };
    let graph = imported.graph;
    if !graph.states.is_empty() {
        return unsupported(format!("{handle}, which is in {shown}, has a state"));
    }
    let named = |name: &str| graph.outputs.iter().position(|&id| graph.value(id).name == name);
    let position = match graph.outputs.len() {
        _ if !key.is_empty() => named(&key),
        1 => Some(0),
        _ => named("default"),
    };
    let Some(position) = position else {
        return unsupported(format!(
            "{handle}, which is in {shown}, has several results and none named `default`"
        ));
    };
    let prefix = format!("{}/", context.name);
    let results = context.run.builder.inline(graph, input, &prefix);
    context.run.notes.push(format!(
        "layer `{}`: {handle} was read from {shown}, by the signature that serves; `compare` with the whole model tells whether \
         calling the module computes the same",
        context.name
    ));
    context.run.notes.extend(imported.notes);
    context.run.warnings.extend(imported.warnings);
    Ok(results.get(position).copied().into_iter().collect())
}

/// Where this machine has a module.
fn folder(handle: &str, variable: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let is_module = |folder: &PathBuf| folder.join("saved_model.pb").is_file();
    let own = PathBuf::from(handle);
    if is_module(&own) {
        return Some(own);
    }
    let set = |name: &str| variable(name).filter(|value| !value.as_os_str().is_empty());
    let modules = set("TFHUB_CACHE_DIR").unwrap_or_else(|| std::env::temp_dir().join("tfhub_modules"));
    let cached = modules.join(sha1(handle.as_bytes()));
    if is_module(&cached) {
        return Some(cached);
    }
    let (_, path) = handle.split_once("kaggle.com/models/")?;
    let home = || Some(set("HOME").or_else(|| set("USERPROFILE"))?.join(".cache/kagglehub"));
    let mut folder = set("KAGGLEHUB_CACHE").or_else(home)?.join("models");
    // The address says the framework in other letters than the cache.
    for part in path
        .split(['?', '#'])
        .next()?
        .split('/')
        .filter(|part| !matches!(*part, "" | "frameworks" | "variations" | "versions"))
    {
        folder = child(&folder, part)?;
    }
    Some(folder).filter(is_module)
}

/// The entry of a folder with this name in any case.
fn child(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    entries
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|own| own.to_string_lossy().eq_ignore_ascii_case(name)))
}

/// The SHA-1 of bytes, in hexadecimal digits (RFC 3174): the name of a folder, which protects nothing.
fn sha1(bytes: &[u8]) -> String {
    let mut state = [0x6745_2301u32, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64) + if padded.len() % 64 > 56 { 64 } else { 0 }, 0);
    let end = padded.len() - 8;
    padded[end..].copy_from_slice(&(bytes.len() as u64 * 8).to_be_bytes());
    for block in padded.as_chunks::<64>().0 {
        let mut words: Vec<u32> =
            block.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word)).collect();
        for at in 16..80 {
            words.push((words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (round, word) in words.into_iter().enumerate() {
            let (f, k) = match round / 20 {
                0 => ((b & c) | (!b & d), 0x5A82_7999),
                1 => (b ^ c ^ d, 0x6ED9_EBA1),
                2 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
                _ => (b ^ c ^ d, 0xCA62_C1D6u32),
            };
            let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(word);
            (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
        }
        for (sum, value) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(value);
        }
    }
    state.iter().map(|word| format!("{word:08x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        assert_eq!(sha1(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(sha1(b""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        let two = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        assert_eq!(sha1(two), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
        assert_eq!(sha1(&[b'a'; 64]), "0098ba824b5c16427bd7a1122a5a442a25ec644d");
    }

    #[test]
    fn modules_are_found_in_both_caches() {
        let home = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let folder = home.path().join(path);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("saved_model.pb"), "").unwrap();
            folder
        };
        let address = "https://tfhub.dev/google/imagenet/mobilenet_v2_100_224/feature_vector/5";
        let one = put(&format!("hub/{}", sha1(address.as_bytes())));
        let two = put("kaggle/models/google/mobilenet-v2/tensorFlow2/100-224-classification/2");
        let variable = |name: &str| match name {
            "TFHUB_CACHE_DIR" => Some(home.path().join("hub")),
            "KAGGLEHUB_CACHE" => Some(home.path().join("kaggle")),
            _ => None,
        };
        assert_eq!(folder(address, &variable), Some(one));
        let kaggle = "https://www.kaggle.com/models/google/mobilenet-v2/TensorFlow2/100-224-classification/2";
        assert_eq!(folder(kaggle, &variable), Some(two.clone()));
        let long = "https://www.kaggle.com/models/google/mobilenet-v2/frameworks/TensorFlow2/variations/100-224-classification/versions/2";
        assert_eq!(folder(long, &variable), Some(two.clone()));
        assert_eq!(folder(&two.display().to_string(), &|_| None), Some(two));
        assert_eq!(folder("https://tfhub.dev/other/1", &variable), None);
    }
}
