//! What people and programs see: data on the standard output, talk on the standard error.

use std::{
    io::{self, IsTerminal as _, Write},
    process::ExitCode,
};

use anstream::AutoStream;
use jiff::tz::TimeZone;
use owo_colors::OwoColorize as _;
use serde_json::{Value, json};
use waggoner_types::Chain;

use crate::{
    cli::{Format, Global},
    error::Error,
    record::Record,
};

mod clock;
mod details;
mod line;
mod progress;
mod table;

pub(crate) use self::{
    clock::Clock,
    line::{event_line, printable},
    progress::Progress,
};

/// The two streams of a command and how to write to them. Colours reach terminals only.
pub struct Ui {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    format: Format,
    clock: Clock,
    /// How this program is called again for the same manager.
    wag: String,
    /// Whether talk goes to a terminal, where lines may be redrawn.
    is_live: bool,
    /// Whether data goes to a terminal.
    is_terminal: bool,
}

// === impl Ui ===

impl Ui {
    /// The process's own streams.
    pub fn terminal(global: &Global) -> Self {
        Self {
            wag: command(global),
            out: Box::new(AutoStream::auto(io::stdout())),
            err: Box::new(AutoStream::auto(io::stderr())),
            format: global.output,
            clock: Clock::new(TimeZone::system()),
            is_live: io::stderr().is_terminal(),
            is_terminal: io::stdout().is_terminal(),
        }
    }

    /// Other streams, without colours, and times in UTC.
    #[cfg(test)]
    pub(crate) fn plain(
        out: impl Write + 'static,
        err: impl Write + 'static,
        global: &Global,
    ) -> Self {
        Self {
            wag: command(global),
            out: Box::new(anstream::StripStream::new(Box::new(out) as Box<dyn Write>)),
            err: Box::new(anstream::StripStream::new(Box::new(err) as Box<dyn Write>)),
            format: global.output,
            clock: Clock::new(TimeZone::UTC),
            is_live: false,
            is_terminal: false,
        }
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A command to go on with, for the same manager.
    pub(crate) fn command(&self, rest: &str) -> String {
        format!("{} {rest}", self.wag)
    }

    /// Whether a program reads the data.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether a picture is asked for.
    pub fn is_svg(&self) -> bool {
        self.format == Format::Svg
    }

    /// Whether the data goes to a terminal.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Shows the progress of an execution.
    pub fn progress(&self, logs: bool) -> Progress {
        Progress::new(self.is_live, logs)
    }

    /// Prints a list: a table, or `{"items": […]}`.
    pub fn list<T: Record>(&mut self, items: &[T]) -> Result<(), Error> {
        if self.is_json() {
            let items: Vec<_> = items.iter().map(Record::shape).collect();
            return self.json(&json!({ "items": items }));
        }
        let text = table::render(items, &self.clock);
        self.data(&text)
    }

    /// Prints one thing: its fields one below the other, or its shape.
    pub fn one<T: Record>(&mut self, item: &T) -> Result<(), Error> {
        self.shape(&item.shape())
    }

    /// Prints a shape: its fields one below the other, or itself.
    pub fn shape(&mut self, shape: &Value) -> Result<(), Error> {
        if self.is_json() { self.json(shape) } else { self.data(&details::render(shape)) }
    }

    /// Prints a value as a document of its own.
    pub fn json(&mut self, value: &Value) -> Result<(), Error> {
        self.data(&format!("{value:#}\n"))
    }

    /// Prints a value on a line of its own.
    pub fn json_line(&mut self, value: &Value) -> Result<(), Error> {
        self.data(&format!("{value}\n"))
    }

    /// Prints text to the standard output as it is, at once.
    pub fn data(&mut self, text: &str) -> Result<(), Error> {
        self.bytes(text.as_bytes())
    }

    /// Prints bytes to the standard output.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).and_then(|()| self.out.flush()).map_err(Error::Stdout)
    }

    /// Says a line. That nobody listens changes nothing.
    pub fn say(&mut self, line: impl AsRef<str>) {
        writeln!(self.err, "{}", line.as_ref()).ok();
    }

    /// Says what is being done.
    pub fn step(&mut self, verb: &str, what: impl AsRef<str>) {
        let verb = format!("{verb:>12}");
        self.say(format!("{} {}", verb.green().bold(), what.as_ref()));
    }

    /// Says the last words of the process, and picks its exit code.
    pub fn report(&mut self, error: &Error) -> ExitCode {
        if error.is_broken_pipe() {
            return ExitCode::SUCCESS;
        }
        let sentence = printable(&Chain(error).to_string());
        self.say(format!("{} {sentence}", "error:".red().bold()));
        for detail in error.details() {
            for line in detail.lines() {
                self.say(format!("  {}", printable(line)));
            }
        }
        if let Some(hint) = error.hint() {
            let hint = hint.replace("`wag ", &format!("`{} ", self.wag));
            self.say(format!("{} {hint}", " hint:".cyan().bold()));
        }
        ExitCode::from(error.exit() as u8)
    }
}

/// The program's name with what was typed to choose a manager and a tenant.
fn command(global: &Global) -> String {
    let Global { profile, data_dir, tenant, output: _ } = global;
    let profile = profile.iter().map(|path| format!(" --profile {}", quoted(path.as_str())));
    let data_dir = data_dir.iter().map(|path| format!(" --data-dir {}", quoted(path.as_str())));
    let tenant = tenant.iter().map(|name| format!(" --tenant {}", quoted(name)));
    std::iter::once("wag".to_owned()).chain(profile).chain(data_dir).chain(tenant).collect()
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl std::fmt::Debug for Ui {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ui").field("format", &self.format).finish_non_exhaustive()
    }
}
