//! `completion`, and what kubectl asks when it completes `kubectl profile`.
//!
//! kubectl looks for a program `kubectl_complete-profile` in PATH and gives it the words so far. Its answer is what Cobra's
//! programs print: a line for each candidate, with a tab and a description, and at the end a colon and a number.

use anyhow::Result;
use clap::{Arg, Command, CommandFactory as _};

use crate::args::{Args, CompletionArgs};
use crate::files;

/// The command by which kubectl asks.
pub(crate) const COMPLETE: &str = "__complete";

/// Complete with files when no candidate fits.
const FILES: u8 = 0;

/// Complete with candidates only.
const NO_FILES: u8 = 4;

/// `completion`.
pub(crate) fn script(args: &CompletionArgs) -> Result<bool> {
    let mut script = Vec::new();
    let program = Args::command();
    // Scripts would have those that are hidden, too.
    let shown = program
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .cloned();
    let mut command = Command::new("kubectl-profile")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(shown);
    clap_complete::generate(args.shell, &mut command, "kubectl-profile", &mut script);
    files::write(None, &script)?;
    Ok(true)
}

/// `__complete`, with the words so far; the last one is to be completed.
pub(crate) fn complete(words: &[String]) -> Result<bool> {
    let mut command = Args::command();
    command.build();
    let (candidates, directive) = candidates(&command, words);
    let mut answer: String = candidates
        .into_iter()
        .map(|(word, about)| format!("{word}\t{about}\n"))
        .collect();
    answer.push_str(&format!(":{directive}\n"));
    files::write(None, answer.as_bytes())?;
    Ok(true)
}

/// What may stand for the last of the words, with what it means.
fn candidates(program: &Command, words: &[String]) -> (Vec<(String, String)>, u8) {
    let (last, before) = words
        .split_last()
        .map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let Some((name, before)) = before.split_first() else {
        if last.starts_with('-') {
            return (options(program, last), NO_FILES);
        }
        let commands = program.get_subcommands().filter(|command| !command.is_hide_set());
        let named = commands.map(|command| (command.get_name().to_owned(), about(command.get_about())));
        return (starting_with(last, named), NO_FILES);
    };
    let Some(command) = program.find_subcommand(name) else {
        return (Vec::new(), NO_FILES);
    };
    let option = before.last().and_then(|word| option(command, word));
    if let Some(option) = option.filter(|option| option.get_action().takes_values()) {
        return values(option, last);
    }
    if last.starts_with('-') {
        return (options(command, last), NO_FILES);
    }
    command
        .get_positionals()
        .next()
        .map_or((Vec::new(), NO_FILES), |arg| values(arg, last))
}

/// The options of a command that a word may become.
fn options(command: &Command, last: &str) -> Vec<(String, String)> {
    let options = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let long = options.filter_map(|arg| Some((format!("--{}", arg.get_long()?), about(arg.get_help()))));
    starting_with(last, long)
}

/// The option that a word is, as `-o` or `--output`.
fn option<'c>(command: &'c Command, word: &str) -> Option<&'c Arg> {
    let (long, short) = (word.strip_prefix("--"), word.strip_prefix('-'));
    command.get_arguments().find(|arg| {
        let is_long = long.is_some() && arg.get_long() == long;
        let is_short = short.is_some_and(|short| arg.get_short().is_some_and(|known| short == known.to_string()));
        is_long || is_short
    })
}

/// The values that an argument may have: files, unless there is a list.
fn values(arg: &Arg, last: &str) -> (Vec<(String, String)>, u8) {
    let possible = arg.get_possible_values();
    if possible.is_empty() {
        return (Vec::new(), FILES);
    }
    let named = possible
        .iter()
        .map(|value| (value.get_name().to_owned(), about(value.get_help())));
    (starting_with(last, named), NO_FILES)
}

fn starting_with(last: &str, all: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    all.filter(|(word, _)| word.starts_with(last)).collect()
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}
