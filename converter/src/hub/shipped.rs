//! The hub that comes with the program: models that were trained for Ferrolite, and an index that also points at those of
//! others. `converter/hub` has its files; `ferrolite hub index converter/hub` renews the index.

/// The file of a path from the index.
pub fn file(path: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, bytes)| *bytes)
}

macro_rules! shipped {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../hub/", $path)) as &[u8])),*]
    };
}

const FILES: &[(&str, &[u8])] = shipped![
    "index.json",
    "digits/model.tflite",
    "digits/vectors.npz",
    "fashion/model.tflite",
    "fashion/vectors.npz",
    "micro-speech/vectors.npz",
    "mlperf-images/vectors.npz",
    "mlperf-keywords/vectors.npz",
    "mnist/model.tflite",
    "mnist/vectors.npz",
    "motion/model.tflite",
    "motion/vectors.npz",
    "person/vectors.npz",
    "sine/model.tflite",
    "sine/vectors.npz",
];
