//! A TCP proxy that breaks connections where it is told to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What happens to one connection. Without one it is whole.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Both ends are closed once this many bytes went to the server.
    CutAfter(usize),
    /// Both ends are closed when the server answers, before the client sees a byte of it.
    LoseAnswer,
    /// Whatever comes is read, and nothing happens.
    Silence,
}

/// A proxy in front of a server; ends with the value.
pub(crate) struct Proxy {
    pub(crate) address: String,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// The first connections get the faults, in their order.
    pub(crate) async fn before(server: &str, faults: impl IntoIterator<Item = Fault>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let faults = Mutex::new(faults.into_iter().collect::<VecDeque<_>>());
        let (server, connections) = (server.to_owned(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let fault = faults.lock().unwrap().pop_front();
                carried.spawn(carry(client, server.clone(), fault));
            }
        });
        Self {
            address,
            connections,
            _tasks: tasks,
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn carry(mut client: TcpStream, server: String, fault: Option<Fault>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut left = match fault {
        Some(Fault::CutAfter(bytes)) => bytes,
        _ => usize::MAX,
    };
    loop {
        let copied = tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(read) if read > 0 => {
                    let passed = read.min(left);
                    left -= passed;
                    match fault {
                        Some(Fault::Silence) => Ok(()),
                        _ => server.write_all(&up[..passed]).await,
                    }
                }
                _ => return,
            },
            read = server.read(&mut down) => match (read, fault) {
                (Ok(read), None | Some(Fault::CutAfter(_))) if read > 0 => client.write_all(&down[..read]).await,
                _ => return,
            },
        };
        if copied.is_err() || left == 0 {
            return;
        }
    }
}
