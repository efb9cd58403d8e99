//! The log of the daemon itself.

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Writes the log to standard error from here on; `RUST_LOG` chooses what is written.
pub fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        // Where the log has no room, to say so has none either: it would panic.
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(false).init(),
        LogFormat::Json => lines.json().init(),
    }
}
