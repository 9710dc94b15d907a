//! The page docs/KUBECTL_PROFILE.md, which is this program's own help.

use anyhow::Result;
use clap::CommandFactory as _;

use crate::args::Args;
use crate::files;

/// What stands before the commands.
const HEAD: &str = include_str!("reference/head.md");

/// `__reference`.
pub(crate) fn run() -> Result<bool> {
    files::write(None, page().as_bytes())?;
    Ok(true)
}

fn page() -> String {
    let mut program = Args::command();
    program.build();
    let mut page = HEAD.to_owned();
    let shown: Vec<_> = program
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
        .cloned()
        .collect();
    for command in shown {
        let help = command.clone().term_width(WIDTH).render_long_help().to_string();
        let help: Vec<_> = help.lines().map(str::trim_end).collect();
        page.push_str(&format!(
            "\n## {}\n\n```text\n{}\n```\n",
            command.get_name(),
            help.join("\n").trim_end()
        ));
    }
    page
}

/// Columns of the help, whatever terminal it was printed from.
const WIDTH: usize = 100;
