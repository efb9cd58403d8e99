//! The profile for `wag` on the manager's own host: where the manager is and a token to come in.

use std::{io, net::SocketAddr};

use camino::Utf8Path;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

const FILE: &str = "profile.json";

/// Returns the token of the profile that is there.
pub(crate) fn token(data_dir: &Utf8Path) -> io::Result<Option<SecretString>> {
    let text = match fs_err::read_to_string(data_dir.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // A profile that cannot be read is made anew, with a new token.
    let profile: Value = serde_json::from_str(&text).unwrap_or_default();
    Ok(profile["token"].as_str().map(SecretString::from))
}

/// Writes the profile, readable by the owner alone, and whole or not at all.
pub(crate) fn write(
    data_dir: &Utf8Path,
    address: SocketAddr,
    ca_pem: &str,
    token: &SecretString,
) -> io::Result<()> {
    let profile = json!({
        "address": address.to_string(),
        "ca_pem": ca_pem,
        "token": token.expose_secret(),
        "tenant": "default_tenant",
    });
    let new = data_dir.join(format!("{FILE}.new"));
    let mut options = fs_err::OpenOptions::new();
    let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    io::Write::write_all(&mut file, format!("{profile:#}\n").as_bytes())?;
    file.sync_all()?;
    fs_err::rename(new, data_dir.join(FILE))
}
