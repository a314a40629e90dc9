//! Debian's packages: installs what is missing, but never removes a package that is there.
//!
//! apt resolves a conflict by removing packages, and `-y` agrees to it. So each installation is simulated
//! first, its actions are printed, and both commands have `--no-remove`. For example, a newer `qemu-utils`
//! from the backports conflicts with the release's own emulators; then the backports' emulators are
//! installed. Their list of packages is used for that call only.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{command, exec, output, output_of, root};

/// Options of every installation, simulated or not.
const CAREFUL: [&str; 3] = ["install", "--no-install-recommends", "--no-remove"];

/// The actions of an installation, parsed from its simulation.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    /// Packages with their versions.
    installs: Vec<String>,
    /// Packages that are installed in another version.
    changes: Vec<String>,
    removes: Vec<String>,
}

impl Plan {
    /// Reads the lines that `apt-get --simulate` prints:
    ///
    /// ```text
    /// Inst qemu-system-arm (1:7.2+dfsg-7 Debian:12.15/oldstable [amd64])
    /// Inst libc6 [2.36-9] (2.36-10 Debian:12.15/oldstable [amd64])
    /// Remv qemu-utils [1:10.0.2]
    /// ```
    fn of(simulation: &str) -> Plan {
        let mut plan = Plan::default();
        for line in simulation.lines() {
            let mut words = line.split_whitespace();
            let (Some(what), Some(name)) = (words.next(), words.next()) else { continue };
            let next = words.next().unwrap_or("");
            let version = |word: &str| word.trim_start_matches('(').to_string();
            match what {
                "Inst" if next.starts_with('[') => {
                    let old = next.trim_matches(['[', ']']);
                    let new = version(words.next().unwrap_or(""));
                    plan.changes.push(format!("{name} {old} -> {new}"));
                }
                "Inst" => plan.installs.push(format!("{name} {}", version(next))),
                "Remv" => plan.removes.push(name.to_string()),
                _ => {}
            }
        }
        plan
    }

    fn print(&self) {
        for (what, packages) in [("install", &self.installs), ("change", &self.changes)] {
            if !packages.is_empty() {
                println!("apt-get will {what} {} packages: {}", packages.len(), packages.join(", "));
            }
        }
    }
}

/// The first of some ways to install that removes nothing, given the output of each simulation. A simulation
/// that failed has no output.
fn choose<W>(ways: impl IntoIterator<Item = (W, Option<String>)>) -> Option<(W, Plan)> {
    ways.into_iter().find_map(|(way, simulation)| {
        let plan = Plan::of(&simulation?);
        plan.removes.is_empty().then_some((way, plan))
    })
}

/// Installs packages, from the backports if the release's do not fit. Returns whether it succeeded.
pub fn install(packages: &[&str]) -> bool {
    let _ = exec(privileged(&["update"]));
    // Each way is simulated only if the one before does not work.
    let release = std::iter::once_with(|| (Vec::new(), simulate(&[], packages)));
    let backports = std::iter::once_with(|| {
        println!("the release's packages do not fit what is installed here; trying the backports");
        let options = backports().unwrap_or_default();
        let simulation = if options.is_empty() { None } else { simulate(&options, packages) };
        (options, simulation)
    });
    let Some((options, plan)) = choose(release.chain(backports)) else {
        println!(
            "apt-get finds no way to install {} that removes nothing; nothing is changed",
            packages.join(", ")
        );
        return false;
    };
    plan.print();
    exec(privileged(&words(&["-y"], &options, packages))).is_ok()
}

fn words<'a>(first: &[&'a str], options: &'a [String], packages: &[&'a str]) -> Vec<&'a str> {
    let options = options.iter().map(String::as_str);
    CAREFUL.into_iter().chain(first.iter().copied()).chain(options).chain(packages.iter().copied()).collect()
}

/// The actions of an installation, if it is possible.
fn simulate(options: &[String], packages: &[&str]) -> Option<String> {
    let mut apt = command("apt-get", &words(&["--simulate"], options, packages));
    apt.env("LC_ALL", "C");
    output_of(apt)
}

fn privileged(args: &[&str]) -> std::process::Command {
    if output("id", &["-u"]).is_some_and(|id| id.trim() == "0") {
        command("apt-get", args)
    } else {
        command("sudo", &[&["-n", "apt-get"], args].concat())
    }
}

/// Options that let apt take packages from the backports.
fn backports() -> Option<Vec<String>> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    let suite = format!("{codename}-backports");
    let format = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)";
    let listed = output("apt-get", &["indextargets", "--format", format, "Identifier: Packages"])?;
    let wanted = vec!["-t".to_string(), suite.clone()];
    if listed.lines().any(|line| line.split(' ').nth(1) == Some(&suite)) {
        return Some(wanted);
    }
    let mirror = mirror(&listed, codename)?;
    let own = Path::new("/etc/apt/sources.list.d");
    let folder = root().join("target/apt-sources");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).ok()?;
    let mut sources = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    for file in files(own) {
        sources += &format!("\n\n{}", fs::read_to_string(&file).unwrap_or_default());
        fs::copy(&file, folder.join(file.file_name()?)).ok()?;
    }
    fs::write(folder.join("ferrolite-backports.sources"), source(&mirror, &suite, &sources)).ok()?;
    let options = vec!["-o".to_string(), format!("Dir::Etc::SourceParts={}", folder.display())];
    let update: Vec<&str> = options.iter().map(String::as_str).chain(["update"]).collect();
    exec(privileged(&update)).ok()?;
    Some([options, wanted].concat())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|e| e == "list" || e == "sources")).collect()
}

/// The mirror of the distribution's own packages; other mirrors may have suites of the same name.
fn mirror(listed: &str, codename: &str) -> Option<String> {
    let words = listed.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mut own = words.filter(|words| words.get(1..4) == Some(&[codename, "main", "Debian"]));
    own.next().map(|words| words[0].to_string())
}

/// A source of packages, signed like the mirror's others. apt does not report the key (`$(SIGNED_BY)` is
/// unknown to Debian 12's apt, or a path, or a whole key), so it is read from the list of sources.
fn source(mirror: &str, suite: &str, sources: &str) -> String {
    let mut text = format!("Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\n");
    let place = mirror.trim_end_matches('/');
    let of_mirror = |paragraph: &&str| {
        let named = |word: &str| word.trim_end_matches('/') == place;
        paragraph.lines().filter(|line| !line.starts_with('#')).any(|line| line.split_whitespace().any(named))
    };
    let Some(paragraph) = sources.split("\n\n").find(of_mirror) else { return text };
    let mut lines = paragraph.lines().skip_while(|line| !line.starts_with("Signed-By:"));
    if let Some(first) = lines.next() {
        text += &format!("{first}\n");
        // A key in the file continues in lines that begin with a space.
        lines.take_while(|line| line.starts_with(' ')).for_each(|line| text += &format!("{line}\n"));
    } else if let Some((_, rest)) = paragraph.split_once("signed-by=") {
        let key = rest.split([']', ' ']).next().unwrap_or("");
        text += &format!("Signed-By: {key}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = "\
Reading package lists...
The following NEW packages will be installed:
  libfdt1 qemu-system-arm
0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.
Inst libfdt1 (1.6.1-4+b1 Debian:12.15/oldstable [amd64])
Inst qemu-system-arm (1:7.2+dfsg-7+deb12u18+b3 Debian:12.15/oldstable [amd64])
Conf libfdt1 (1.6.1-4+b1 Debian:12.15/oldstable [amd64])
Conf qemu-system-arm (1:7.2+dfsg-7+deb12u18+b3 Debian:12.15/oldstable [amd64])
";
    const TAKES_AWAY: &str = "\
The following packages will be REMOVED:
  qemu-utils
Remv qemu-utils [1:10.0.2+ds-2+deb13u1~bpo12+1]
Inst qemu-system-arm (1:7.2+dfsg-7+deb12u18+b3 Debian:12.15/oldstable [amd64])
";
    const BACKPORTS: &str = "\
Inst qemu-utils [1:10.0.2] (1:10.0.3 Debian Backports:bookworm-backports [amd64])
Inst qemu-system-arm (1:10.0.3 Debian Backports:bookworm-backports [amd64])
";

    #[test]
    fn nothing_is_taken_away() {
        let chosen = |release: Option<&str>, backports: Option<&str>| {
            let ways = [("release", release), ("backports", backports)];
            choose(ways.map(|(way, text)| (way, text.map(str::to_string)))).map(|(way, _)| way)
        };
        assert_eq!(chosen(Some(RELEASE), Some(BACKPORTS)), Some("release"));
        // apt fails if `--no-remove` leaves no way; a version that continues is not trusted either.
        assert_eq!(chosen(None, Some(BACKPORTS)), Some("backports"));
        assert_eq!(chosen(Some(TAKES_AWAY), Some(BACKPORTS)), Some("backports"));
        assert_eq!(chosen(Some(TAKES_AWAY), Some(TAKES_AWAY)), None);
        assert_eq!(chosen(None, None), None);
        for first in ["--simulate", "-y"] {
            assert!(words(&[first], &[], &["qemu-system-arm"]).contains(&"--no-remove"));
        }
    }

    #[test]
    fn plans_are_read() {
        let plan = Plan::of(RELEASE);
        assert_eq!(plan.installs, ["libfdt1 1.6.1-4+b1", "qemu-system-arm 1:7.2+dfsg-7+deb12u18+b3"]);
        assert_eq!((plan.changes.len(), plan.removes.len()), (0, 0));
        assert_eq!(Plan::of(TAKES_AWAY).removes, ["qemu-utils"]);
        assert_eq!(Plan::of(BACKPORTS).changes, ["qemu-utils 1:10.0.2 -> 1:10.0.3"]);
        assert_eq!(Plan::of(""), Plan::default());
    }

    #[test]
    fn the_mirror_is_the_distributions() {
        let listed = "https://download.docker.com/linux/debian/ bookworm stable Docker\n\
                      http://deb.debian.org/debian/ bookworm-updates main Debian\n\
                      http://deb.debian.org/debian/ bookworm main Debian\n";
        assert_eq!(mirror(listed, "bookworm").as_deref(), Some("http://deb.debian.org/debian/"));
        assert_eq!(mirror(listed, "trixie"), None);
    }

    #[test]
    fn the_backports_are_signed_as_the_mirror_is() {
        let mirror = "http://deb.debian.org/debian/";
        let of = |sources: &str| source(mirror, "bookworm-backports", sources);
        let deb822 = "Types: deb\nURIs: https://other.example/debian\nSigned-By: /other.gpg\n\n\
                      Types: deb\n# a mirror\nURIs: http://deb.debian.org/debian\nSuites: bookworm\nSigned-By: /own.gpg\n";
        assert!(of(deb822).ends_with("Components: main\nSigned-By: /own.gpg\n"), "{}", of(deb822));
        let inline = "URIs: http://deb.debian.org/debian\nSigned-By:\n -----BEGIN\n .\n abc\nEnabled: yes\n";
        assert!(of(inline).ends_with("Signed-By:\n -----BEGIN\n .\n abc\n"), "{}", of(inline));
        let line = "deb [arch=amd64 signed-by=/own.gpg] http://deb.debian.org/debian bookworm main\n";
        assert!(of(line).ends_with("Signed-By: /own.gpg\n"), "{}", of(line));
        let plain = "deb http://deb.debian.org/debian bookworm main\n";
        assert!(of(plain).ends_with("Components: main\n"), "{}", of(plain));
    }
}
