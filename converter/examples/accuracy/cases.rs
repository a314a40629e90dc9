//! The models, and what is tested of each.

use std::path::Path;

use ferrolite::Result;

use crate::samples::{self, Samples};

/// A trained network in all formats that exist of it.
pub struct Case {
    /// Name in the table.
    pub name: &'static str,
    /// Format and path of each file, below the folder of shared models. TensorFlow's int8 model is compared with
    /// the first one.
    pub files: &'static [(&'static str, &'static str)],
    /// TensorFlow's int8 model of the same network. It keeps its numbers on import, so the interpreter gives
    /// TFLM's bytes.
    pub tensorflow: Option<&'static str>,
    /// Name in `accuracy.json`.
    pub published: Option<&'static str>,
    /// Typical samples for calibration, and samples for judging.
    pub samples: fn(&Path) -> Result<Samples>,
}

/// A model of the folder `trained`.
macro_rules! trained {
    ($name:literal, $samples:expr) => {
        Case {
            name: $name,
            files: &[
                ("tflite", concat!("trained/", $name, "/", $name, "_float.tflite")),
                ("keras", concat!("trained/", $name, "/", $name, ".keras")),
                ("h5", concat!("trained/", $name, "/", $name, ".h5")),
                ("onnx", concat!("trained/", $name, "/", $name, ".onnx")),
                ("SavedModel", concat!("trained/", $name, "/saved_model")),
            ],
            tensorflow: Some(concat!("trained/", $name, "/", $name, "_int8_tf.tflite")),
            published: Some($name),
            samples: $samples,
        }
    };
}

/// A model without an int8 model by TensorFlow.
const fn alone(
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    samples: fn(&Path) -> Result<Samples>,
) -> Case {
    Case { name, files, tensorflow: None, published: None, samples }
}

/// All float models of the collection.
pub const CASES: &[Case] = &[
    trained!("digits_mlp", |folder| samples::trained(folder, "digits_mlp", "digits", 16.0)),
    trained!("watch_conv1d", |folder| samples::trained(folder, "watch_conv1d", "watch", 1.0)),
    trained!("mnist_cnn", |folder| samples::trained(folder, "mnist_cnn", "mnist", 255.0)),
    Case {
        name: "mnist_cnn_nchw",
        files: &[("onnx", "onnx/mnist_cnn_nchw.onnx")],
        tensorflow: Some("trained/mnist_cnn/mnist_cnn_int8_tf.tflite"),
        published: Some("mnist_cnn"),
        samples: |folder| samples::trained(folder, "mnist_cnn", "mnist", 255.0),
    },
    trained!("fashion_dsres", |folder| samples::trained(folder, "fashion_dsres", "fashion", 255.0)),
    trained!("mnist_lstm", |folder| samples::trained(folder, "mnist_lstm", "mnist", 255.0)),
    alone("mnist_lstm_onnx", &[("onnx", "onnx/mnist_lstm_onnx.onnx")], |folder| {
        samples::trained(folder, "mnist_lstm", "mnist", 255.0)
    }),
    Case {
        name: "mnist_lstm (TFLM)",
        files: &[("tflite", "real/mnist_lstm_float.tflite")],
        tensorflow: Some("real/mnist_lstm_int8.tflite"),
        published: None,
        samples: |folder| samples::trained(folder, "mnist_lstm", "mnist", 255.0),
    },
    trained!("sine", samples::sine),
    // `hello_world_int8.tflite` comes from another training.
    alone("hello_world", &[("tflite", "real/hello_world_float.tflite")], samples::sine),
    alone("onnx2c_tfl_helloworld", &[("onnx", "onnx/onnx2c_tfl_helloworld.onnx")], samples::sine),
    alone("onnx2c_mnist_zoo", &[("onnx", "onnx/onnx2c_mnist_zoo.onnx")], samples::mnist_pixels),
    alone("onnx2c_atmega_mnist", &[("onnx", "onnx/onnx2c_atmega_mnist.onnx")], samples::mnist_halved),
    alone("onnx2c_conv_maxpool", &[("onnx", "onnx/onnx2c_conv_maxpool.onnx")], samples::noise_5x5),
    Case {
        name: "pretrainedResnet",
        files: &[
            ("tflite", "real/pretrainedResnet_float.tflite"),
            ("h5", "keras_legacy/pretrainedResnet.h5"),
        ],
        tensorflow: Some("real/pretrainedResnet_quant.tflite"),
        published: None,
        samples: samples::grey_pictures,
    },
    Case {
        name: "kws_ref_model",
        files: &[("SavedModel", "keras_legacy/kws_ref_model_savedmodel")],
        tensorflow: Some("real/kws_ref_model.tflite"),
        published: None,
        samples: samples::recording,
    },
    // Its weights are rounded to 8 bits, so it is another network, with other results.
    Case {
        name: "kws_ref_model (hybrid)",
        files: &[("tflite", "real/kws_ref_model_float32.tflite")],
        tensorflow: Some("real/kws_ref_model.tflite"),
        published: None,
        samples: samples::recording,
    },
];
