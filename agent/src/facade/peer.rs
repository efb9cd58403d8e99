//! Which operation a client belongs to that shows no token.
//!
//! What an operation starts may open a client that was told where the API is and nothing more, as
//! Ansible's modules do; on a manager of Cloudify's a profile of its administrator lies ready for
//! them. Here the kernel says whose the connection is: a process of our own user has the socket, and
//! carries the mark of its operation in its environment.

use std::{
    ffi::OsStr,
    io,
    net::{SocketAddr, SocketAddrV4},
    os::unix::fs::MetadataExt as _,
};

use camino::Utf8Path;
use fs_err as fs;
use uuid::Uuid;
use waggoner_process::MARK;
use waggoner_types::AttemptId;

/// The two ends of a connection on the loopback.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) peer: SocketAddr,
    pub(super) own: SocketAddr,
}

/// How long an attempt's id is, with which its mark begins.
const ID: usize = 36;

// === impl Ends ===

impl Ends {
    /// Returns the attempt whose process is at the other end. Blocks.
    pub(super) fn attempt(&self) -> Option<AttemptId> {
        let (SocketAddr::V4(peer), SocketAddr::V4(own)) = (self.peer, self.own) else {
            return None;
        };
        let user = rustix::process::geteuid().as_raw();
        let table = fs::read_to_string("/proc/net/tcp").ok()?;
        let socket = socket(&table, peer, own, user)?;
        holders(&socket, user).ok()?.find_map(|process| marked(&process))
    }
}

/// Finds the user's socket between two addresses in the kernel's table (`proc_pid_net(5)`).
fn socket(table: &str, local: SocketAddrV4, remote: SocketAddrV4, user: u32) -> Option<String> {
    let shown = |address: SocketAddrV4| {
        let octets = u32::from_ne_bytes(address.ip().octets());
        format!("{octets:08X}:{:04X}", address.port())
    };
    let (local, remote, user) = (shown(local), shown(remote), user.to_string());
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut inodes = rows.filter_map(|row| {
        let is_it = *row.get(1)? == local && *row.get(2)? == remote && *row.get(7)? == user;
        is_it.then(|| format!("socket:[{}]", row.get(9).copied().unwrap_or_default()))
    });
    inodes.next()
}

/// Lists the processes of a user that have a socket.
fn holders(socket: &str, user: u32) -> io::Result<impl Iterator<Item = String>> {
    let processes = Utf8Path::new("/proc").read_dir_utf8()?.flatten();
    Ok(processes.filter_map(move |entry| {
        let process = entry.path();
        let is_process = entry.file_name().bytes().all(|byte| byte.is_ascii_digit());
        if !is_process || fs::metadata(process).ok()?.uid() != user {
            return None;
        }
        let mut files = fs::read_dir(process.join("fd")).ok()?.flatten();
        let has_it = files.any(|file| {
            fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == OsStr::new(socket))
        });
        has_it.then(|| process.to_string())
    }))
}

/// Returns the attempt whose mark a process carries.
fn marked(process: &str) -> Option<AttemptId> {
    let environment = fs::read(format!("{process}/environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let mark = variables
        .find_map(|variable| variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="))?;
    Uuid::try_parse_ascii(mark.get(..ID)?).ok().map(AttemptId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_both_its_ends_and_its_user() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 20 4 30 10 -1
   2: 0100007F:C001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 13 1 0 20 4 30 10 -1
";
        let table = if cfg!(target_endian = "big") {
            table.replace("0100007F", "7F000001")
        } else {
            table.to_owned()
        };
        let (client, server) = (address(0xc001), address(0x1f90));
        assert_eq!(socket(&table, client, server, 1000).as_deref(), Some("socket:[13]"));
        assert_eq!(socket(&table, client, server, 0), None, "it is another user's");
        assert_eq!(socket(&table, address(0xc002), server, 1000), None);
        assert_eq!(socket("", client, server, 1000), None);
    }

    fn address(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port)
    }
}
