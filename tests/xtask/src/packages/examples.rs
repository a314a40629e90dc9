//! Builds and runs the example of each package, with the package's files as its users' tools would take them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::exec_quietly;
use crate::run::{command, output, output_of, root};

/// What became of an example.
pub enum Checked {
    /// It ran and gave the right answers; bytes of flash and RAM of each program.
    Ran { sizes: Vec<(String, u64, u64)> },
    /// It could not be built here.
    Not { reason: String },
}

/// The longest that an emulated program may take, on a busy machine.
const LONGEST: Duration = Duration::from_secs(60);

const GCC: &str = "arm-none-eabi-gcc";
const RISCV_GCC: &str = "riscv64-unknown-elf-gcc";

/// Flags of gcc for the emulated Cortex-M4.
const CORTEX_M4: [&str; 4] = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"];
/// Its memory map, for the start that `ferrolite new --lang c` writes.
const MAP: [&str; 4] = [
    "-Wl,--defsym=FLASH_START=0",
    "-Wl,--defsym=FLASH_BYTES=0x80000",
    "-Wl,--defsym=RAM_START=0x20000000",
    "-Wl,--defsym=RAM_BYTES=0x20000",
];
const LINK: [&str; 6] = [
    "-nostartfiles",
    "--specs=nano.specs",
    "-Wl,--gc-sections",
    "-Wl,-z,noexecstack",
    "-Wl,--undefined=vectors",
    "-Os",
];
const STRICT: [&str; 6] = ["-Os", "-Wall", "-Wextra", "-Werror", "-ffunction-sections", "-fdata-sections"];

fn missing(programs: &[&str]) -> Option<Checked> {
    let missing = programs.iter().find(|program| output(program, &["--version"]).is_none())?;
    Some(Checked::Not { reason: format!("{missing} is not installed") })
}

/// A file of the start of projects in C.
fn start(name: &str) -> PathBuf {
    root().join("converter/src/project/templates/c").join(name)
}

fn stubs() -> PathBuf {
    root().join("boards/packages/stubs")
}

/// A new folder for what is built of a package.
fn place(name: &str) -> Result<PathBuf> {
    let place = root().join("target/packages/built").join(name);
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    Ok(place)
}

/// Compiles C or C++ of a package for the emulated Cortex-M4.
fn compile(source: &Path, language: &[&str], headers: &[&Path], object: &Path) -> Result<()> {
    let cpp = language.contains(&"c++");
    let mut gcc = command(if cpp { "arm-none-eabi-g++" } else { GCC }, &[]);
    gcc.args(CORTEX_M4).args(STRICT).args(if cpp {
        ["-std=c++17", "-fno-exceptions"]
    } else {
        ["-std=c11", "-g0"]
    });
    for folder in headers {
        gcc.arg("-I").arg(folder);
    }
    gcc.args(language).arg("-c").arg(source).arg("-o").arg(object);
    exec_quietly(gcc)
}

/// Links objects with the library of a folder, as tools do that get `-L` and `-l`.
fn link(objects: &[PathBuf], library: &Path, elf: &Path) -> Result<()> {
    if !library.join("libferrolite.a").is_file() {
        bail!("{} has no library", library.display());
    }
    let mut gcc = command(GCC, &[]);
    gcc.args(CORTEX_M4).args(MAP).args(LINK).arg("-T").arg(start("board.ld")).args(objects);
    gcc.arg("-L").arg(library).args(["-lferrolite", "-o"]).arg(elf);
    exec_quietly(gcc)
}

/// Runs a program on the emulated Cortex-M4, and looks at what it prints.
fn run_arm(elf: &Path) -> Result<()> {
    let mut qemu = command("qemu-system-arm", &["-M", "mps2-an386", "-display", "none", "-monitor", "none"]);
    qemu.args(["-serial", "none", "-semihosting-config", "enable=on,target=native", "-kernel"]).arg(elf);
    judge(qemu)
}

/// What a program prints has to be the self-test's word and some sines.
fn judge(mut qemu: Command) -> Result<()> {
    let said = emulated(&mut qemu)?;
    let sines = said.lines().filter(|line| line.ends_with(" thousandths") || line.contains('.')).count();
    if !said.contains("self-test: passed") || sines < 4 {
        bail!("the example prints:\n{said}");
    }
    Ok(())
}

/// What an emulated program prints until it ends, which takes a moment.
fn emulated(qemu: &mut Command) -> Result<String> {
    let mut running = qemu.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let start = Instant::now();
    while running.try_wait()?.is_none() && start.elapsed() < LONGEST {
        std::thread::sleep(Duration::from_millis(10));
    }
    let ended = running.try_wait()?;
    if ended.is_none() {
        running.kill()?;
    }
    let output = running.wait_with_output()?;
    let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    match ended {
        Some(status) if status.success() => Ok(said),
        Some(status) => bail!("{qemu:?} failed ({status}):\n{said}"),
        None => bail!("{qemu:?} does not end:\n{said}"),
    }
}

fn output_of_all(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?} could not be started"))?;
    let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    if !output.status.success() {
        bail!("{command:?} failed ({}):\n{said}", output.status);
    }
    Ok(said)
}

/// Bytes of flash and RAM of a program.
fn sizes(tool: &str, program: &str, elf: &Path) -> Result<Checked> {
    let mut size = command(tool, &[]);
    size.arg(elf);
    let text = output_of(size).with_context(|| format!("{tool} does not run"))?;
    let line = text.lines().nth(1).context("a line of sizes")?;
    let numbers: Vec<u64> = line.split_whitespace().take(3).filter_map(|word| word.parse().ok()).collect();
    let [text, data, bss] = numbers[..] else { bail!("{tool} says {line}") };
    Ok(Checked::Ran { sizes: vec![(program.to_string(), text + data, data + bss)] })
}

/// The start of a program, and a way to print for one that has the C library's.
fn start_objects(built: &Path, prints: bool) -> Result<Vec<PathBuf>> {
    let object = built.join("start.o");
    compile(&start("start.c"), &[], &[&start("")], &object)?;
    let mut objects = vec![object];
    if prints {
        let object = built.join("write.o");
        compile(&stubs().join("write.c"), &[], &[&start("")], &object)?;
        objects.push(object);
    }
    Ok(objects)
}

/// The sketch, as Arduino's builder compiles it: as C++ behind a line that includes its header.
pub fn arduino(package: &Path) -> Result<Checked> {
    if let Some(not) = missing(&[GCC, "arm-none-eabi-g++", "qemu-system-arm"]) {
        return Ok(not);
    }
    let built = place("arduino")?;
    let sketch = package.join("examples/Sine");
    let headers: [&Path; 3] = [&package.join("src"), &sketch, &stubs().join("arduino")];
    let mut objects = start_objects(&built, false)?;
    let cpp = built.join("Sine.ino.cpp");
    let text = fs::read_to_string(sketch.join("Sine.ino"))?;
    fs::write(&cpp, format!("#include <Arduino.h>\n#line 1 \"Sine.ino\"\n{text}"))?;
    let sources: [(&Path, &str, &str); 3] = [
        (&cpp, "c++", "sketch.o"),
        (&stubs().join("arduino/main.cpp"), "c++", "main.o"),
        (&sketch.join("sine.c"), "c", "sine.o"),
    ];
    for (source, language, object) in sources {
        let object = built.join(object);
        compile(source, &["-x", language], &headers, &object)?;
        objects.push(object);
    }
    // `build.mcu`, and the FPU with its ABI: where Arduino's builder looks.
    let elf = built.join("sine.elf");
    link(&objects, &package.join("src/cortex-m4/fpv4-sp-d16-hard"), &elf)?;
    run_arm(&elf)?;
    let properties = fs::read_to_string(package.join("library.properties"))?;
    for key in ["name=", "version=", "author=", "maintainer=", "sentence=", "paragraph=", "category=", "url="]
    {
        let given = properties.lines().find_map(|line| line.strip_prefix(key));
        if given.is_none_or(|value| value.trim().is_empty() || value.contains("{{")) {
            bail!("library.properties has no {key}");
        }
    }
    sizes("arm-none-eabi-size", "Sine, Cortex-M4", &elf)
}

/// A program in C of a folder with its model, linked with a library.
fn plain(name: &str, sources: &Path, headers: &Path, library: &Path) -> Result<Checked> {
    let built = place(name)?;
    let mut objects = start_objects(&built, true)?;
    for source in ["main.c", "sine.c"] {
        let object = built.join(source).with_extension("o");
        compile(&sources.join(source), &[], &[headers], &object)?;
        objects.push(object);
    }
    let elf = built.join("sine.elf");
    link(&objects, library, &elf)?;
    run_arm(&elf)?;
    sizes("arm-none-eabi-size", "sine with printf, Cortex-M4", &elf)
}

/// The example with the library that the package's script picks.
pub fn platformio(package: &Path) -> Result<Checked> {
    if let Some(not) = missing(&[GCC, "qemu-system-arm", "python3"]) {
        return Ok(not);
    }
    // The script is run as PlatformIO runs it, too, with stand-ins for its environment.
    let script = "\
import sys, os, json
sys.path.insert(0, '.')
import pick_core as p
j = json.load(open('library.json'))
assert '{{' not in j['version']
assert all(os.path.exists(os.path.join(e['base'], f)) for e in j['examples'] for f in e['files'])
hard = ['-mfloat-abi=hard']
there = lambda core: os.path.isfile(os.path.join('lib', core, 'libferrolite.a'))
if len(os.listdir('lib')) > 1:
    missing = [(m, f) for m in p.CORES for f in (hard, []) if not there(p.folder(m, f))]
    assert not missing, missing
class Env(dict):
    def BoardConfig(self): return {'build.cpu': 'cortex-m4'}
    def Append(self, **more): self.update(more)
class Builder: path = os.getcwd()
env = Env(CCFLAGS=['-mthumb'] + hard)
names = {'__file__': 'pick_core.py', 'env': env, 'pio_lib_builder': Builder, 'Import': lambda *_: None}
exec(open('pick_core.py').read(), names)
assert env['LIBS'] == ['ferrolite'] and os.path.isdir(env['LIBPATH'][0]), env
print(os.path.basename(env['LIBPATH'][0]))";
    let mut python = command("python3", &["-B", "-c", script]);
    python.current_dir(package);
    let picked = output_of_all(&mut python)?;
    plain(
        "platformio",
        &package.join("examples/sine/src"),
        &package.join("include"),
        &package.join("lib").join(picked.trim()),
    )
}

/// The description names what is there, and the example runs with what it names.
pub fn cmsis_pack(package: &Path) -> Result<Checked> {
    let pdsc = fs::read_to_string(package.join("Ferrolite.Ferrolite.pdsc"))?;
    let named: Vec<&str> = pdsc
        .split("<file ")
        .skip(1)
        .filter_map(|file| file.split("name=\"").nth(1)?.split('"').next())
        .collect();
    let all = fs::read_dir(package.join("lib"))?.count() > 1;
    for file in named.iter().filter(|file| all || !file.ends_with(".a")) {
        if !package.join(file).exists() {
            bail!("the pack has no {file}");
        }
    }
    for core in fs::read_dir(package.join("lib"))? {
        let library = format!("lib/{}/libferrolite.a", core?.file_name().to_string_lossy());
        if !named.contains(&library.as_str()) {
            bail!("the description does not name {library}");
        }
    }
    for id in pdsc.split("condition=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        if !pdsc.contains(&format!("<condition id=\"{id}\">")) {
            bail!("the description has no condition {id}");
        }
    }
    well_formed(&pdsc)?;
    if let Some(not) = missing(&[GCC, "qemu-system-arm"]) {
        return Ok(not);
    }
    plain("cmsis-pack", &package.join("examples"), &package.join("include"), &package.join("lib/cortex-m4"))
}

/// Whether every element of an XML text ends where it should.
fn well_formed(xml: &str) -> Result<()> {
    let mut open: Vec<&str> = Vec::new();
    for part in xml.split('<').skip(1) {
        let (tag, _) = part.split_once('>').context("an element without an end")?;
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        match (tag.starts_with('/'), tag.starts_with('?') || tag.ends_with('/')) {
            (true, _) if open.pop() != Some(name) => bail!("</{name}> ends nothing"),
            (false, false) => open.push(name),
            _ => {}
        }
        if tag.matches('"').count() % 2 != 0 {
            bail!("<{tag}> has an odd number of quotes");
        }
    }
    if !open.is_empty() {
        bail!("{} have no end", open.join(", "));
    }
    Ok(())
}

/// Configures and builds a CMake project, and returns the folder.
fn cmake(
    name: &str,
    project: &Path,
    words: &[String],
    environment: Option<(&str, &Path)>,
) -> Result<PathBuf> {
    let built = place(name)?;
    let mut configure = command("cmake", &["-S"]);
    configure
        .arg(project)
        .arg("-B")
        .arg(&built)
        .args(["-DCMAKE_SYSTEM_NAME=Generic", "-DCMAKE_C_COMPILER_WORKS=1"]);
    configure.args(words);
    if let Some((variable, value)) = environment {
        configure.env(variable, value);
    }
    exec_quietly(configure)?;
    let mut build = command("cmake", &["--build"]);
    build.arg(&built);
    exec_quietly(build)?;
    Ok(built)
}

/// The component and its example, with ESP-IDF's functions from `stubs`.
pub fn esp_idf(package: &Path) -> Result<Checked> {
    if let Some(not) = missing(&["cmake", RISCV_GCC, "qemu-system-riscv32"]) {
        return Ok(not);
    }
    if !package.join("lib/riscv32imc/libferrolite.a").is_file() {
        return Ok(Checked::Not { reason: "there is no Rust target riscv32imc-unknown-none-elf".into() });
    }
    // Debian's C library for RISC-V, whose start and printing QEMU serves.
    let core = "-march=rv32imc -mabi=ilp32 --specs=picolibc.specs";
    let link = "--oslib=semihost -Wl,--gc-sections -Wl,--defsym=__flash=0x80000000 -Wl,--defsym=__flash_size=0x200000 \
                -Wl,--defsym=__ram=0x80200000 -Wl,--defsym=__ram_size=0x200000";
    let words = [
        format!("-DCMAKE_C_COMPILER={RISCV_GCC}"),
        format!("-DCMAKE_C_FLAGS={core} {}", STRICT.join(" ")),
        format!("-DCMAKE_EXE_LINKER_FLAGS={link}"),
        "-DIDF_TARGET=esp32c3".to_string(),
    ];
    let idf = stubs().join("esp-idf");
    let built = cmake("esp-idf", &package.join("examples/sine"), &words, Some(("IDF_PATH", &idf)))?;
    let elf = built.join("sine.elf");
    let mut qemu =
        command("qemu-system-riscv32", &["-M", "virt", "-m", "16M", "-bios", "none", "-display", "none"]);
    qemu.args([
        "-monitor",
        "none",
        "-serial",
        "none",
        "-semihosting-config",
        "enable=on,target=native",
        "-kernel",
    ]);
    qemu.arg(&elf);
    judge(qemu)?;
    sizes("riscv64-unknown-elf-size", "sine with printf, RV32IMC", &elf)
}

/// The module and its sample, with Zephyr's functions from `stubs`.
pub fn zephyr(package: &Path) -> Result<Checked> {
    if let Some(not) = missing(&["cmake", GCC, "qemu-system-arm"]) {
        return Ok(not);
    }
    let support =
        [start("start.c"), stubs().join("write.c")].map(|path| path.display().to_string()).join(";");
    let linking = [&MAP[..], &LINK[..]].concat().join(" ");
    let words = [
        format!("-DCMAKE_C_COMPILER={GCC}"),
        format!("-DCMAKE_C_FLAGS={} {} -I{}", CORTEX_M4.join(" "), STRICT.join(" "), start("").display()),
        format!("-DCMAKE_EXE_LINKER_FLAGS={linking} -T {}", start("board.ld").display()),
        format!("-DZephyr_DIR={}", stubs().join("zephyr").display()),
        format!("-DMODULE={}", package.display()),
        format!("-DSUPPORT={support}"),
    ];
    let built = cmake("zephyr", &package.join("samples/sine"), &words, None)?;
    let elf = built.join("app");
    run_arm(&elf)?;
    sizes("arm-none-eabi-size", "samples/sine with printf, Cortex-M4", &elf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_has_to_end_what_it_begins() {
        assert!(well_formed("<?xml version=\"1.0\"?>\n<a b=\"c\"><d/><e>x</e></a>").is_ok());
        for wrong in ["<a><b></a></b>", "<a>", "<a b=\"c></a>"] {
            assert!(well_formed(wrong).is_err(), "{wrong}");
        }
    }
}
