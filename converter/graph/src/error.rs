//! The one error type of the host side: a sentence that says what is wrong, a sentence that says
//! what to do, whose fault it was (which decides the exit code), and the error that caused it.
//!
//! ```
//! use ferrolite_graph::{Error, Fault};
//!
//! let error = Error::input("absent.tflite: cannot be opened").help("check the path of the model file");
//! assert_eq!((error.fault, error.help.as_str()), (Fault::Input, "check the path of the model file"));
//! ```

use std::fmt;
use std::sync::Arc;

/// Whose fault an error is; the exit code of the command follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file, the data or the environment: exit code 1.
    Input,
    /// The arguments of the command: exit code 2.
    Usage,
    /// A flash or RAM budget that the model does not meet: exit code 3.
    Budget,
    /// Ferrolite itself: a mistake in its code, whatever the input was. Exit code 70, as in `sysexits.h`.
    Internal,
}

/// The help for a mistake of Ferrolite's.
const REPORT: &str = "this is a mistake in Ferrolite, not in the model: please report it with the model";

/// What went wrong and what to do about it, one line each. Errors are equal if fault, message and help are,
/// whatever caused them.
#[derive(Clone, Debug)]
pub struct Error {
    /// Whose fault.
    pub fault: Fault,
    /// What is wrong: names the file, the layer, what was found and what is supported.
    pub message: String,
    /// What to do next; empty only if the message leaves no question.
    pub help: String,
    /// The layer that the message names, and the offset in the message of the text after it.
    layer: Option<(String, usize)>,
    /// The error of another library that led to this one. The message contains its text.
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// Result of host-side operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the input.
    pub fn input(message: impl Into<String>) -> Error {
        Error::of(Fault::Input, message.into())
    }

    /// An error of the input in a layer, by its name and its operator.
    pub fn layer(name: &str, operator: &str, what: impl fmt::Display) -> Error {
        let start = format!("layer `{name}` ({operator}): ");
        Error { layer: Some((name.into(), start.len())), ..Error::input(format!("{start}{what}")) }
    }

    /// An error in the arguments of the command.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::of(Fault::Usage, message.into())
    }

    /// A budget that was exceeded.
    pub fn budget(message: impl Into<String>) -> Error {
        Error::of(Fault::Budget, message.into())
    }

    /// A mistake of Ferrolite's; the help asks to report it.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::of(Fault::Internal, message.into()).help(REPORT)
    }

    fn of(fault: Fault, message: String) -> Error {
        Error { fault, message, help: String::new(), layer: None, cause: None }
    }

    /// Sets what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Error {
        self.help = help.into();
        self
    }

    /// Keeps the error that led to this one, for [`source`](std::error::Error::source).
    #[must_use]
    pub fn caused_by(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// Sets the layer that the message already names.
    #[must_use]
    pub fn about(mut self, layer: impl Into<String>) -> Error {
        self.layer = Some((layer.into(), 0));
        self
    }

    /// The layer that the message names, if it names one.
    pub fn named_layer(&self) -> Option<&str> {
        self.layer.as_ref().map(|(name, _)| name.as_str())
    }

    /// What is wrong, without the layer before it.
    pub fn reason(&self) -> &str {
        let start = self.layer.as_ref().map_or(0, |&(_, start)| start);
        self.message.get(start..).unwrap_or(&self.message)
    }

    /// Puts the context (a file, a layer) in front of the message.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Error {
        let what = format!("{what}: ");
        if let Some((_, start @ 1..)) = &mut self.layer {
            *start += what.len();
        }
        self.message.insert_str(0, &what);
        self
    }

    /// The exit code of the command line for this error.
    pub fn exit_code(&self) -> u8 {
        match self.fault {
            Fault::Input => 1,
            Fault::Usage => 2,
            Fault::Budget => 3,
            Fault::Internal => 70,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as &(dyn std::error::Error + 'static))
    }
}

impl PartialEq for Error {
    fn eq(&self, other: &Error) -> bool {
        (self.fault, &self.message, &self.help) == (other.fault, &other.message, &other.help)
    }
}

impl Eq for Error {}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn layers_are_known_without_a_look_at_the_words() {
        let error = Error::layer("a", "ADD", "too wide").context("net.onnx");
        assert_eq!(error.message, "net.onnx: layer `a` (ADD): too wide");
        assert_eq!((error.named_layer(), error.reason()), (Some("a"), "too wide"));
        let error = Error::input("layer `b` is a loop").about("b").context("net.onnx");
        assert_eq!((error.named_layer(), error.reason()), (Some("b"), "net.onnx: layer `b` is a loop"));
        assert_eq!(Error::input("x").context("y").reason(), "y: x");
    }

    #[test]
    fn causes_are_kept_and_faults_have_their_codes() {
        let cause = std::io::Error::other("no such disk");
        let error = Error::input(format!("x.npy: cannot be read: {cause}")).caused_by(cause).context("data");
        let source = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
        assert_eq!(source.map(ToString::to_string).as_deref(), Some("no such disk"));
        assert_eq!(error, Error::input("data: x.npy: cannot be read: no such disk"));
        assert!(Error::input("x").source().is_none());
        let codes = [Error::input("x"), Error::usage("x"), Error::budget("x"), Error::internal("x")];
        assert_eq!(codes.map(|error| error.exit_code()), [1, 2, 3, 70]);
    }
}
