//! Runs any models on a board: takes the jobs that QEMU's loader has put into memory, reads inputs
//! from the host and answers with outputs, instruction counts, stack and arena use. A job that fails
//! does not keep the next from running.
#![no_std]
#![no_main]

mod measure;
mod ports;
mod room;

use ferrolite_board_support::job::{ENTRIES, Job, LAYERS, SEQUENCE, arena, far};
use ferrolite_board_support::report::{Kind, Report, Tag, fail};
use ferrolite_board_support::{counter, exit};
use ferrolite_runtime::{Error, Interpreter, Model};
use ports::Inputs;
use room::Room;

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
    // SAFETY: called once each; all later slices are parts of these.
    let mut room = unsafe { Room { near: arena(), far: far() } };
    loop {
        let result = match job.calibration {
            0 => run(&job, &mut room, &mut report),
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
fn run(job: &Job, room: &mut Room<'_>, report: &mut Report) -> Result<(), Error> {
    let near = room.near.len().min(job.arena_limit);
    let room = &mut Room { near: room.near.get_mut(..near).unwrap_or_default(), far: &mut *room.far };
    let model = Model::from_bytes(job.model)?;
    let init = measure::init(job.model, &model, room)?;
    let mut inputs = Inputs::open(job.inputs_start);
    if job.has(LAYERS) {
        room.with_net(&model, |net| {
            enter(net, job.entry)?;
            inputs.read(net)?;
            measure::layers(net, report)
        })?;
        inputs.rewind();
    }
    if job.has(ENTRIES) {
        return room.with_net(&model, |net| {
            (0..job.samples).try_for_each(|index| call(index, init, net, &mut inputs, report))
        });
    }
    if job.has(SEQUENCE) {
        return room.with_net(&model, |net| {
            enter(net, job.entry)?;
            (0..job.samples).try_for_each(|index| sample(index, init, net, &mut inputs, report))
        });
    }
    for index in 0..job.samples {
        room.with_net(&model, |net| {
            enter(net, job.entry)?;
            sample(index, init, net, &mut inputs, report)
        })?;
    }
    Ok(())
}

/// One call of an entry point, whose turn it is.
// Cortex-M0 has no atomic swaps, and its board no flash for this beside all operators.
#[cfg(target_has_atomic = "ptr")]
fn call(
    index: u32,
    init: measure::Cost,
    net: &mut Interpreter<'_>,
    inputs: &mut Inputs,
    report: &mut Report,
) -> Result<(), Error> {
    let number = (index as usize).checked_rem(net.model().entries()).unwrap_or(0);
    go_over(net, number)?;
    sample(index, init, net, inputs, report)
}

/// Goes over to a program of the file, unless it is the first, which a net begins with.
#[cfg(target_has_atomic = "ptr")]
fn enter(net: &mut Interpreter<'_>, number: u32) -> Result<(), Error> {
    if number == 0 { Ok(()) } else { go_over(net, number as usize) }
}

#[cfg(target_has_atomic = "ptr")]
fn go_over(net: &mut Interpreter<'_>, number: usize) -> Result<(), Error> {
    let entry = net.entry(net.model().entry_name(number).unwrap_or_default())?;
    net.enter(&entry)
}

// The host asks such a board for the first program only.
#[cfg(not(target_has_atomic = "ptr"))]
fn enter(_: &mut Interpreter<'_>, _: u32) -> Result<(), Error> {
    Ok(())
}

#[cfg(not(target_has_atomic = "ptr"))]
fn call(
    _: u32,
    _: measure::Cost,
    _: &mut Interpreter<'_>,
    _: &mut Inputs,
    _: &mut Report,
) -> Result<(), Error> {
    fail(Kind::Job, format_args!("this runner has no entry points"))
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
