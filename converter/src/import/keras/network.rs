//! A model in Keras's terms: its layers, their calls and their variables.

use super::calls::{Call, TensorRef};
use super::config::Config;

/// A model, which may be a layer of another one.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// All layers, in the file's order.
    pub layers: Vec<Layer>,
    /// The inputs, which are results of `InputLayer`s.
    pub inputs: Vec<TensorRef>,
    /// The outputs.
    pub outputs: Vec<TensorRef>,
}

/// A layer.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// Its class, such as `Conv2D`.
    pub class: String,
    /// Whether it is an operation of `keras.ops` rather than a layer.
    pub operation: bool,
    /// The author's name for it.
    pub name: String,
    /// Its configuration.
    pub config: Config,
    /// Its own variables, in Keras's order.
    pub variables: Vec<Variable>,
    /// The layers that it wraps, by the attribute that holds them.
    pub children: Vec<(&'static str, Layer)>,
    /// The nested model, if the layer is one.
    pub network: Option<Network>,
    /// Its calls.
    pub calls: Vec<Call<TensorRef>>,
}

/// A variable.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name in Keras.
    pub name: &'static str,
    /// Its path below the layer in a `.keras` file.
    pub place: String,
    /// Whether training changes it. In an `.h5` file, variables that training does not change come last.
    pub trainable: bool,
    /// Its path in the file.
    pub path: Option<String>,
}

/// A class's name as Keras writes it in paths: `Conv2D` becomes `conv2d`, `ReLU` becomes `re_lu`.
pub fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut snake = String::new();
    for (place, &letter) in letters.iter().enumerate() {
        let lower = |place: Option<usize>| {
            place.and_then(|place| letters.get(place)).is_some_and(char::is_ascii_lowercase)
        };
        let starts = lower(Some(place + 1)) || lower(place.checked_sub(1));
        if place > 0 && letter.is_ascii_uppercase() && starts {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn classes_are_written_as_keras_writes_them() {
        for (class, snake) in [
            ("Conv2D", "conv2d"),
            ("ReLU", "re_lu"),
            ("PReLU", "p_re_lu"),
            ("LSTM", "lstm"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("Conv1DTranspose", "conv1d_transpose"),
            ("RNN", "rnn"),
            ("UpSampling2D", "up_sampling2d"),
            ("MultiHeadAttention", "multi_head_attention"),
            ("RMSNormalization", "rms_normalization"),
        ] {
            assert_eq!(snake_case(class), snake);
        }
    }
}
