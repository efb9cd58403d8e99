//! Commands from what was typed to what is seen, against a manager of our own making.

mod fake;
mod help;
mod lists;
mod refusals;
mod runs;
mod transfers;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use clap::Parser as _;
use serde_json::Value;

use self::fake::Fake;
use crate::{Cli, Ui, commands::Context};

/// What a command said, and what it ended with.
#[derive(Debug)]
pub(crate) struct Said {
    pub out: String,
    pub err: String,
    pub exit: u8,
}

/// Bytes that are read again after they were written.
#[derive(Clone, Debug, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

/// Types a command line at a manager.
pub(crate) async fn wag(fake: Fake, line: &[&str]) -> Said {
    let cli = Cli::try_parse_from(["wag"].iter().chain(line)).unwrap();
    let (out, err) = (Page::default(), Page::default());
    let mut ui = Ui::plain(out.clone(), err.clone(), &cli.global);
    let manager = fake.connect().await;
    let mut context = Context::over(cli.global, &mut ui, manager);
    let done = context.run(cli.command).await;
    let exit = done.as_ref().err().map_or(0, |error| error.exit() as u8);
    if let Err(error) = done {
        ui.report(&error);
    }
    Said { out: out.text(), err: err.text(), exit }
}

// === impl Said ===

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

// === impl Page ===

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
