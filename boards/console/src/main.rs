//! Runs a firmware in an emulator and prints its defmt log, decoded. It is the `runner` of the applications'
//! `.cargo/config.toml`, so that `cargo run` needs nothing but QEMU.
//!
//! The machine follows from where the firmware's flash starts: 0x08000000 is an STM32F405
//! (`netduinoplus2`), 0x10000000 an RP2040, 0 an MPS2 with a Cortex-M4 (`mps2-an386`). QEMU has no RP2040: Node.js runs
//! the emulator rp2040js (`npm install --prefix target/rp2040js rp2040js`, or where `NODE_PATH` says).

use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use defmt_decoder::{DecodeError, Table};

/// A firmware that runs longer than this has hung.
const LIMIT: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let Some(elf) = std::env::args().nth(1) else {
        eprintln!("usage: console FIRMWARE");
        return ExitCode::from(2);
    };
    match run(&elf) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What is wrong where QEMU does not start.
const QEMU: &str = "qemu-system-arm does not start; `cargo xtask setup` installs it";

fn qemu(machine: &str, path: &str) -> Command {
    let mut qemu = Command::new("qemu-system-arm");
    qemu.args(["-machine", machine, "-display", "none", "-serial", "none", "-monitor", "none"]);
    // One instruction is a nanosecond of the board's time: the same ticks on every run.
    qemu.args(["-icount", "shift=0"]);
    qemu.args(["-semihosting-config", "enable=on,target=native", "-kernel", path]);
    qemu
}

fn rp2040(path: &str) -> Command {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new("node");
    node.arg(here.join("src/rp2040.cjs")).arg(path);
    if std::env::var_os("NODE_PATH").is_none() {
        node.env("NODE_PATH", here.join("../../target/rp2040js/node_modules"));
    }
    node
}

fn run(path: &str) -> Result<u8> {
    let elf = std::fs::read(path).with_context(|| path.to_string())?;
    let table = Table::parse(&elf)?.with_context(|| format!("{path}: there is no defmt data in it"))?;
    // Offset 24 of an ELF header: the entry point.
    let entry = elf.get(24..28).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let (mut emulator, missing) = match entry.map(|entry| entry >> 24) {
        Some(0x10) => (rp2040(path), "node does not start; install Node.js"),
        Some(0x08) => (qemu("netduinoplus2", path), QEMU),
        _ => (qemu("mps2-an386", path), QEMU),
    };
    let mut emulator = emulator.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context(missing)?;
    let mut stdout = emulator.stdout.take().context("the emulator has no output")?;
    let (sender, receiver) = channel();
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = stdout.read(&mut buffer) {
            if sender.send(buffer[..len].to_vec()).is_err() {
                break;
            }
        }
    });

    let start = Instant::now();
    let mut decoder = table.new_stream_decoder();
    loop {
        match receiver.recv_timeout(LIMIT.saturating_sub(start.elapsed())) {
            Ok(bytes) => decoder.received(&bytes),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                emulator.kill()?;
                emulator.wait()?;
                bail!("the firmware did not end within {} s", LIMIT.as_secs());
            }
        }
        loop {
            match decoder.decode() {
                Ok(frame) => {
                    let level = frame.level().map_or("", |level| level.as_str());
                    println!("{level:<5} {}", frame.display_message());
                }
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) => eprintln!("(a damaged piece of the log)"),
            }
        }
    }
    // It ends when the emulator has closed its output.
    let _ = reader.join();
    let status = emulator.wait()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}
