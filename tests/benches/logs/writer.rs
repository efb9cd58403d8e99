//! This program as the one that writes lines.

use std::{
    env,
    io::Write as _,
    thread::sleep,
    time::{Duration, Instant},
};

/// One line of 100 bytes.
fn line() -> Vec<u8> {
    let mut line = vec![b'x'; 99];
    line.push(b'\n');
    line
}

/// The arguments with which this program writes so many bytes, each line by itself.
pub(crate) fn lines(bytes: u32) -> [String; 2] {
    ["write-lines".to_owned(), bytes.to_string()]
}

/// The arguments with which it writes so many bytes a second for some seconds, and then how many
/// milliseconds that took into a file.
pub(crate) fn paced(bytes: u32, seconds: u32, report: &str) -> [String; 4] {
    ["write-paced".to_owned(), bytes.to_string(), seconds.to_string(), report.to_owned()]
}

/// Writes, if this program was called for that, and says whether it was.
pub(crate) fn called() -> bool {
    let args: Vec<String> = env::args().skip(1).collect();
    let number = |at: usize| args[at].parse::<u32>().expect("it is a number");
    match args.first().map(String::as_str) {
        Some("write-lines") => write(number(1)),
        Some("write-paced") => {
            let begun = Instant::now();
            for tenth in 1..=number(2) * 10 {
                write(number(1) / 10);
                sleep((begun + Duration::from_millis(100) * tenth) - Instant::now());
            }
            let took = begun.elapsed().as_millis().to_string();
            fs_err::write(&args[3], took).expect("the file is ours");
        }
        _ => return false,
    }
    true
}

/// Rust's standard output writes each line as it ends, as programs do on a terminal.
fn write(bytes: u32) {
    let (line, mut out) = (line(), std::io::stdout().lock());
    for _ in 0..bytes / 100 {
        out.write_all(&line).expect("somebody reads");
    }
}
