//! Runs any models on a board: takes the jobs that QEMU's loader has put into memory, reads inputs
//! from the host and answers with outputs, instruction counts, stack and arena use. A job that fails
//! does not keep the next from running.
#![no_std]
#![no_main]

mod measure;
mod ports;

use ferrolite_board_support::job::{Job, LAYERS, SEQUENCE, arena};
use ferrolite_board_support::report::{Kind, Report, Tag, fail};
use ferrolite_board_support::{counter, exit};
use ferrolite_runtime::{Error, Interpreter, Model, ops};
use ports::Inputs;

#[cfg(target_arch = "arm")]
use cortex_m_rt::entry;
#[cfg(target_arch = "riscv32")]
use riscv_rt::entry;

#[entry]
fn main() -> ! {
    let Some(mut report) = Report::create() else { exit(Kind::Job.exit_code()) };
    let Some(mut job) = Job::take() else {
        fail(Kind::Job, format_args!("there is no job of this version in memory"))
    };
    // SAFETY: called once; all later slices are parts of this one.
    let memory = unsafe { arena() };
    loop {
        let result = match job.calibration {
            0 => run(&job, memory, &mut report),
            rounds => {
                calibrate(rounds, &mut report);
                Ok(())
            }
        };
        match result {
            Ok(()) => report.start(Tag::Done, job.samples, 0),
            Err(error) => report.error(Kind::Model, format_args!("{error}")),
        }
        match job.next() {
            Some(next) => job = next,
            None => exit(0),
        }
    }
}

/// Counts a loop of known length.
fn calibrate(rounds: u32, report: &mut Report) {
    let ticks = counter::calibrate(rounds);
    let invoke = measure::Cost { ticks, wrapped: counter::wrapped(), ..measure::Cost::default() };
    measure::Counts { init: invoke, invoke, arena: 0 }.write(report);
}

/// All samples of a job.
fn run(job: &Job, memory: &mut [u8], report: &mut Report) -> Result<(), Error> {
    let room = memory.len().min(job.arena_limit);
    let memory = memory.get_mut(..room).unwrap_or_default();
    let model = Model::from_bytes(job.model)?;
    // Exactly what the model says, so that a use beyond it shows.
    let room = room.min(model.arena_bytes());
    let memory = memory.get_mut(..room).unwrap_or_default();

    let init = measure::init(job.model, memory)?;
    let mut inputs = Inputs::open(job.inputs_start);
    if job.has(LAYERS) {
        memory.fill(0);
        let mut net = Interpreter::new(&model, ops::ALL, memory)?;
        inputs.read(&mut net)?;
        measure::layers(&mut net, report)?;
        inputs.rewind();
    }
    if job.has(SEQUENCE) {
        memory.fill(0);
        let mut net = Interpreter::new(&model, ops::ALL, memory)?;
        for index in 0..job.samples {
            sample(index, init, &mut net, &mut inputs, report)?;
        }
    } else {
        for index in 0..job.samples {
            memory.fill(0);
            let mut net = Interpreter::new(&model, ops::ALL, memory)?;
            sample(index, init, &mut net, &mut inputs, report)?;
        }
    }
    Ok(())
}

/// One sample; the first is counted.
fn sample(
    index: u32,
    init: measure::Cost,
    net: &mut Interpreter<'_>,
    inputs: &mut Inputs,
    report: &mut Report,
) -> Result<(), Error> {
    inputs.read(net)?;
    if index == 0 {
        let invoke = measure::invoke(net)?;
        let arena = net.model().arena_bytes() as u32;
        measure::Counts { init, invoke, arena }.write(report);
    } else {
        net.invoke()?;
    }
    ports::write_outputs(index, net, report)
}
