//! `ferrolite completions` and `ferrolite man`: completion scripts and manual pages. Both are made from the
//! definitions that parse the command line.

use clap::CommandFactory;

use super::Printed;
use super::args::{Cli, CompletionsArgs, ManArgs};
use crate::error::{Error, Result};

/// The program's name.
const NAME: &str = "ferrolite";

pub fn completions(args: &CompletionsArgs) -> Printed {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    Printed::Text(String::from_utf8_lossy(&script).into_owned())
}

pub fn man(args: &ManArgs) -> Result<Printed> {
    let mut all = Cli::command();
    all.build();
    let command = match &args.command {
        None => all,
        Some(name) => all.find_subcommand(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = all.get_subcommands().map(clap::Command::get_name).collect();
            Error::usage(format!("there is no command `{name}`"))
                .help(format!("known are {}", names.join(", ")))
        })?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|e| Error::input(format!("the page cannot be written: {e}")).caused_by(e))?;
    Ok(Printed::Text(String::from_utf8_lossy(&page).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap_complete::Shell;

    #[test]
    fn every_command_is_completed_in_every_shell() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let Printed::Text(script) = completions(&CompletionsArgs { shell }) else { panic!("no text") };
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
            // The other two shells complete names of options only, not their values.
            if matches!(shell, Shell::Bash | Shell::Zsh | Shell::Fish) {
                assert!(script.contains("qemu-cortex-m4"), "{shell}: values of --on");
            }
        }
    }

    #[test]
    fn there_is_a_page_for_each_command() {
        let page = |command: Option<&str>| match man(&ManArgs { command: command.map(String::from) }) {
            Ok(Printed::Text(page)) => page,
            _ => panic!("{command:?}"),
        };
        assert!(page(None).contains("convert"));
        for command in Cli::command().get_subcommands().map(|command| command.get_name().to_string()) {
            assert!(page(Some(&command)).contains(".SH"), "{command}");
        }
        assert!(page(Some("convert")).contains("calibrate"));
        assert!(man(&ManArgs { command: Some("nothing".into()) }).is_err());
    }
}
