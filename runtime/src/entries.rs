//! Entry points: several programs of one file, of which one is run at a time, on one state.
//!
//! ```no_run
//! use ferrolite_runtime::{Error, Interpreter};
//!
//! fn say(net: &mut Interpreter<'_>, sound: &[i8]) -> Result<i8, Error> {
//!     let (reset, step) = (net.entry("reset")?, net.entry("step")?);
//!     net.enter(&reset)?;
//!     net.invoke()?;
//!     net.enter(&step)?;
//!     net.set_input(0, sound)?;
//!     net.invoke()?;
//!     Ok(net.output::<i8>(0)?[0])
//! }
//! ```
//! An interpreter begins with the file's first program. What only some of them need is linked where
//! [`Interpreter::entry`] is called.

use ferrolite_schema::Model;

use crate::error::Error;
use crate::interpreter::{Interpreter, check};
use crate::ops::OpSet;

/// A program of a file that has several, verified, with the operators that run it.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    model: Model<'a>,
    ops: OpSet,
}

impl<'a> Entry<'a> {
    /// The program: its inputs, outputs and ops.
    pub fn model(&self) -> &Model<'a> {
        &self.model
    }
}

impl core::fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Entry").field("model", &self.model).finish_non_exhaustive()
    }
}

impl<'a> Interpreter<'a> {
    /// The program of this name, with every op checked as [`new`](Interpreter::new) checks those of the first one. That
    /// takes about the time of `new`, so keep what it returns.
    ///
    /// # Errors
    /// [`NoSuchName`](Error::NoSuchName) where the file has no such program, and where the program is not sound or needs
    /// operators that are not in the op set.
    pub fn entry(&self, name: &str) -> Result<Entry<'a>, Error> {
        let (file, ops) = self.program();
        let model = file.entry(name)?.ok_or(Error::NoSuchName)?;
        if self.has_further_memories() {
            model.check_memories()?;
        }
        check(&model, ops)?;
        Ok(Entry { model, ops })
    }

    /// Goes over to a program of this file. The state stays what it is; inputs have to be written, and outputs of the
    /// program before can be read no longer.
    ///
    /// # Errors
    /// [`Running`](Error::Running) between two [steps](Interpreter::step) of an inference, and
    /// [`OtherEntry`](Error::OtherEntry) where the program is of another file.
    pub fn enter(&mut self, entry: &Entry<'a>) -> Result<(), Error> {
        if !core::ptr::eq(self.model().bytes(), entry.model.bytes()) {
            return Err(Error::OtherEntry);
        }
        self.not_running()?;
        self.go_over(&entry.model, entry.ops);
        Ok(())
    }
}
