//! A server that answers what a script says, for answers that no real server gives when asked to.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The request line and the headers, lower-case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// A scripted server; ends with the value.
pub(crate) struct Scripted {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    /// `script` gets a request's number, from 0, and the request, and returns status line, headers and body.
    pub(crate) async fn start(script: impl Fn(usize, &Seen) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (noted, script) = (Arc::clone(&seen), Arc::new(script));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (noted, script) = (Arc::clone(&noted), Arc::clone(&script));
                carried.spawn(async move { serve(client, &noted, &*script).await });
            }
        });
        Self {
            address,
            seen,
            _tasks: tasks,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The methods that came, in their order.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.seen()
            .iter()
            .map(|one| one.head.split(' ').next().unwrap().to_uppercase())
            .collect()
    }
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// An answer with this status and body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An error document of S3.
pub(crate) fn error(status: &str, code: &str) -> String {
    answer(
        status,
        "",
        &format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>"),
    )
}

async fn serve(
    mut client: TcpStream,
    seen: &Mutex<Vec<Seen>>,
    script: &(dyn Fn(usize, &Seen) -> String + Send + Sync),
) {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if !matches!(client.read_buf(&mut buffer).await, Ok(read) if read > 0) {
                return;
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
        let request = Seen { head, body: Vec::new() };
        let length: usize = request
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        while buffer.len() < end + length {
            if !matches!(client.read_buf(&mut buffer).await, Ok(read) if read > 0) {
                return;
            }
        }
        let request = Seen {
            body: buffer[end..end + length].to_vec(),
            ..request
        };
        buffer.drain(..end + length);
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        if client.write_all(script(number, &request).as_bytes()).await.is_err() {
            return;
        }
    }
}
