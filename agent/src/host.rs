//! The facts about this host that decide which wagon fits it.

use std::{collections::HashMap, io::Read as _};

use fs_err as fs;
use tokio::process::Command;
use waggoner_python::Environments;
use waggoner_types::Host;

/// Looks at the host.
pub(crate) async fn look(environments: &Environments) -> Host {
    let interpreters = environments.interpreters().await.iter();
    let python_tags = interpreters.map(|interpreter| interpreter.tag.clone()).collect();
    let uname = rustix::system::uname();
    let text = |field: &std::ffi::CStr| field.to_string_lossy().into_owned();
    let release = read("/etc/os-release").or_else(|| read("/usr/lib/os-release"));
    let release = os_release(&release.unwrap_or_default());
    let word = |key: &str| release.get(key).cloned().unwrap_or_default();
    Host {
        hostname: text(uname.nodename()),
        system: text(uname.sysname()).to_lowercase(),
        machine: text(uname.machine()),
        distribution: word("ID").to_lowercase(),
        distribution_version: word("VERSION_ID"),
        distribution_release: word("VERSION_CODENAME").to_lowercase(),
        python_tags,
        boot_id: read("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned(),
        libc: libc().await,
    }
}

/// Reads os-release(5): assignments whose values may be quoted as in a shell.
fn os_release(text: &str) -> HashMap<String, String> {
    let lines = text.lines();
    let pairs = lines.filter_map(|line| line.trim().split_once('='));
    let unquoted = |value: &str| value.trim_matches(['"', '\'']).replace('\\', "");
    pairs.map(|(key, value)| (key.to_owned(), unquoted(value))).collect()
}

async fn libc() -> String {
    let glibc = Command::new("getconf").arg("GNU_LIBC_VERSION").env_clear().output().await;
    if let Ok(output) = glibc
        && output.status.success()
    {
        return String::from_utf8_lossy(&output.stdout).trim().replace(' ', "-");
    }
    // The loader of musl is named after the machine; only itself knows its version.
    let musl = fs::read_dir("/lib").into_iter().flatten().flatten();
    let is_loader = |name: &str| name.starts_with("ld-musl-");
    let found = musl.into_iter().any(|entry| entry.file_name().to_str().is_some_and(is_loader));
    if found { "musl".to_owned() } else { String::new() }
}

/// Reads a small text file; one that is not there, or no text, is nothing.
fn read(path: &str) -> Option<String> {
    const MOST: u64 = 64 * 1024;
    let mut text = String::new();
    fs::File::open(path).ok()?.take(MOST).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_with_and_without_quotes() {
        let text = "# comment\nID=debian\nVERSION_ID=\"12\"\nNAME='a b'\n\nbroken\n";
        let release = os_release(text);
        assert_eq!((release["ID"].as_str(), release["VERSION_ID"].as_str()), ("debian", "12"));
        assert_eq!(release["NAME"], "a b");
        assert!(os_release("").is_empty());
    }

    #[tokio::test]
    async fn this_host_has_a_system_a_machine_and_a_boot() {
        let environments = Environments::with_tools("/nowhere", None, Vec::new());
        let host = look(&environments).await;
        assert_eq!(host.system, "linux");
        assert!(!host.machine.is_empty() && !host.boot_id.is_empty(), "{host:?}");
        assert!(host.python_tags.is_empty());
    }
}
