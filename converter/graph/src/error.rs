//! The one error type of the host side: a sentence that says what is wrong, a sentence that says
//! what to do, and whose fault it was (which decides the exit code).
//!
//! ```
//! use ferrolite_graph::{Error, Fault};
//!
//! let error = Error::input("absent.tflite: cannot be opened").help("check the path of the model file");
//! assert_eq!((error.fault, error.help.as_str()), (Fault::Input, "check the path of the model file"));
//! ```

use std::fmt;

/// Whose fault an error is; the exit code of the command follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file, the data or the environment: exit code 1.
    Input,
    /// The words of the command: exit code 2.
    Usage,
    /// A flash or RAM budget that the model does not meet: exit code 3.
    Budget,
}

/// What went wrong and what to do about it, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Whose fault.
    pub fault: Fault,
    /// What is wrong: names the file, the layer, what was found and what is supported.
    pub message: String,
    /// What to do next; empty only where the message leaves no question.
    pub help: String,
}

/// Result of host-side operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the input.
    pub fn input(message: impl Into<String>) -> Error {
        Error { fault: Fault::Input, message: message.into(), help: String::new() }
    }

    /// An error in the words of the command.
    pub fn usage(message: impl Into<String>) -> Error {
        Error { fault: Fault::Usage, message: message.into(), help: String::new() }
    }

    /// A budget that was exceeded.
    pub fn budget(message: impl Into<String>) -> Error {
        Error { fault: Fault::Budget, message: message.into(), help: String::new() }
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Error {
        self.help = help.into();
        self
    }

    /// Puts what was being worked on (a file, a layer) in front of the message.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Error {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The exit code that the command line ends with.
    pub fn exit_code(&self) -> u8 {
        match self.fault {
            Fault::Input => 1,
            Fault::Usage => 2,
            Fault::Budget => 3,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
