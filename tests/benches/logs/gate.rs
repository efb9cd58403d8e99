//! A way between an agent and its manager that can stand still: nothing is read and nothing is
//! said, and no connection ends.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use waggoner_task::Tasks;

/// The way, open at first.
#[derive(Debug)]
pub(crate) struct Gate {
    address: SocketAddr,
    is_open: watch::Sender<bool>,
    _tasks: Tasks,
}

// === impl Gate ===

impl Gate {
    /// Makes a way to an address.
    pub(crate) async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let (is_open, opens) = watch::channel(true);
        let tasks = Tasks::default();
        tasks.spawn("gate", async move {
            let ways = Tasks::default();
            while let Ok((near, _)) = listener.accept().await {
                let opens = opens.clone();
                ways.spawn("way", async move {
                    if let Ok(far) = TcpStream::connect(target).await {
                        carry(near, far, opens).await;
                    }
                });
            }
        });
        Self { address, is_open, _tasks: tasks }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn close(&self) {
        self.is_open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.is_open.send_replace(true);
    }
}

async fn carry(near: TcpStream, far: TcpStream, opens: watch::Receiver<bool>) {
    let ((mut near_up, mut near_down), (mut far_up, mut far_down)) =
        (near.into_split(), far.into_split());
    tokio::select! {
        () = copy(&mut near_up, &mut far_down, opens.clone()) => {}
        () = copy(&mut far_up, &mut near_down, opens) => {}
    }
}

async fn copy(
    from: &mut tokio::net::tcp::OwnedReadHalf,
    to: &mut tokio::net::tcp::OwnedWriteHalf,
    mut opens: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        if opens.wait_for(|is_open| *is_open).await.is_err() {
            return;
        }
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
