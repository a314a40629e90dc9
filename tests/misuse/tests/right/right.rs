//! Every step of the cases in its place.

use ferrolite_misuse::runtime::{Error, Interpreter, Model, ops};
use ferrolite_misuse::{SINE, sine};

fn may_be_sent<T: Send + 'static>(_: &T) {}

fn main() -> Result<(), Error> {
    static mut MEMORY: sine::Memory = sine::Memory::new();
    // SAFETY: the only reference to it that there is.
    let memory = unsafe { &mut *(&raw mut MEMORY) };
    let mut net: sine::Net<'static> = sine::bind(&SINE, memory)?;
    may_be_sent(&net);
    let whole = *net.run(&[77]);
    let mut filling = net.begin();
    filling.keras_tensor_5()[0] = 77;
    let mut running = filling.start()?;
    let done = loop {
        match running.step() {
            sine::Step::More(rest) => running = rest,
            sine::Step::Done(done) => break done,
        }
    };
    assert_eq!(*done.output_0(), whole);

    let mut arena = sine::Memory::new();
    let file = ferrolite_misuse::runtime::include_model!("../../../models/sine/sine.ferro");
    let mut net = Interpreter::new(&Model::from_bytes(&file)?, ops::ALL, &mut arena)?;
    net.set_input(0, &[77i8])?;
    net.invoke()?;
    assert_eq!(net.output::<i8>(0)?, whole);
    Ok(())
}
