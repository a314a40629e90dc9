//! Runs a firmware in QEMU and prints its defmt log, decoded. It is the `runner` of the applications'
//! `.cargo/config.toml`, so that `cargo run` needs nothing but QEMU.
//!
//! The machine follows from where the firmware's flash starts: 0x08000000 is an STM32F405
//! (`netduinoplus2`), 0 an MPS2 with a Cortex-M4 (`mps2-an386`).

use std::io::Read;
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

fn run(path: &str) -> Result<u8> {
    let elf = std::fs::read(path).with_context(|| path.to_string())?;
    let table = Table::parse(&elf)?.with_context(|| format!("{path}: there is no defmt data in it"))?;
    // Offset 24 of an ELF header: the entry point.
    let entry = elf.get(24..28).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let machine = if entry.is_some_and(|entry| entry >> 24 == 0x08) { "netduinoplus2" } else { "mps2-an386" };
    let mut qemu = Command::new("qemu-system-arm")
        .args(["-machine", machine, "-display", "none", "-serial", "none", "-monitor", "none"])
        // One instruction is a nanosecond of the board's time: the same ticks on every run.
        .args(["-icount", "shift=0"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel", path])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("qemu-system-arm does not start; `cargo xtask setup` installs it")?;
    let mut stdout = qemu.stdout.take().context("QEMU has no output")?;
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
                qemu.kill()?;
                qemu.wait()?;
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
    // It ends when QEMU has closed its output.
    let _ = reader.join();
    let status = qemu.wait()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}
