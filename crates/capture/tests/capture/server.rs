//! A server on loopback that does to its clients what it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// What to do after a request was read.
#[derive(Clone)]
pub enum Step {
    /// Send bytes.
    Send(Vec<u8>),
    /// Send these bytes again and again until the client is gone.
    Endless(Vec<u8>),
    /// Send pieces that are made when it is their turn.
    Pieces(super::pprof::Pieces),
    /// Send a byte each time so much time has passed.
    Drip(Vec<u8>, Duration),
    /// Send nothing and keep the connection, until the client is gone.
    Hang,
    /// Close the connection.
    Close,
    /// Close it with a reset.
    Reset,
}

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// On which connection, from 0.
    pub connection: usize,
    /// The whole head.
    pub head: String,
}

impl Seen {
    /// Path and query.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }
}

/// The server; it ends when it is dropped.
pub struct Server {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: AbortHandle,
    _owner: JoinSet<()>,
}

impl Server {
    /// `script` says what to do for a path that is asked for the `nth` time, from 0.
    pub async fn start(script: impl Fn(&str, usize) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut owner = JoinSet::new();
        let task = owner.spawn(serve(listener, Arc::new(script), Arc::clone(&seen)));
        Self {
            port,
            seen,
            task,
            _owner: owner,
        }
    }

    /// One that does the same for every request.
    pub async fn always(steps: Vec<Step>) -> Self {
        Self::start(move |_, _| steps.clone()).await
    }

    /// One that answers every request with a profile that fits its path, and keeps connections.
    pub async fn healthy() -> Self {
        Self::start(|target, _| vec![Step::Send(ok(&fitting(target)))]).await
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Their paths.
    pub fn targets(&self) -> Vec<String> {
        self.seen().iter().map(|one| one.target().to_owned()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A profile that fits a path of Go's.
pub fn fitting(target: &str) -> Vec<u8> {
    match target.split('?').next().unwrap() {
        "/debug/pprof/heap" | "/debug/pprof/allocs" => super::pprof::heap(),
        "/debug/pprof/goroutine" => super::pprof::goroutine(),
        "/debug/pprof/profile" => super::pprof::cpu(),
        "/debug/pprof/mutex" | "/debug/pprof/block" => {
            super::pprof::profile(&[("contentions", "count"), ("delay", "nanoseconds")])
        }
        "/debug/pprof/threadcreate" => super::pprof::profile(&[("threadcreate", "count")]),
        "/debug/pprof/goroutineleak" => super::pprof::profile(&[("goroutineleak", "count")]),
        "/debug/pprof/trace" => b"go 1.26 trace\0\0\0and then some".to_vec(),
        other => panic!("no profile fits {other}"),
    }
}

/// An answer of status 200 with a length.
pub fn ok(body: &[u8]) -> Vec<u8> {
    answer("200 OK", "application/octet-stream", body)
}

/// An answer with a length.
pub fn answer(status: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The head of an answer of status 200 with further header lines.
pub fn head(lines: &[&str]) -> Vec<u8> {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n{lines}\r\n").into_bytes()
}

/// A chunk of a chunked body.
pub fn chunk(content: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", content.len()).as_bytes(), content, b"\r\n"].concat()
}

type Script = dyn Fn(&str, usize) -> Vec<Step> + Send + Sync;

async fn serve(listener: TcpListener, script: Arc<Script>, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut connections = JoinSet::new();
    for connection in 0.. {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        connections.spawn(converse(stream, connection, Arc::clone(&script), Arc::clone(&seen)));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(mut stream: TcpStream, connection: usize, script: Arc<Script>, seen: Arc<Mutex<Vec<Seen>>>) {
    while let Some(head) = read_head(&mut stream).await {
        let request = Seen { connection, head };
        let target = request.target().to_owned();
        let nth = {
            let mut seen = seen.lock().unwrap();
            seen.push(request);
            seen.iter().filter(|one| one.target() == target).count() - 1
        };
        for step in script(&target, nth) {
            if !perform(&mut stream, step).await {
                return;
            }
        }
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// Whether the connection goes on.
async fn perform(stream: &mut TcpStream, step: Step) -> bool {
    match step {
        Step::Send(bytes) => stream.write_all(&bytes).await.is_ok(),
        Step::Endless(bytes) => {
            while stream.write_all(&bytes).await.is_ok() {}
            false
        }
        Step::Pieces(pieces) => {
            for piece in (0..).map_while(|at| pieces(at)) {
                if stream.write_all(&piece).await.is_err() {
                    return false;
                }
            }
            true
        }
        Step::Drip(bytes, every) => {
            let mut tick = tokio::time::interval(every);
            for byte in bytes {
                tick.tick().await;
                if stream.write_all(&[byte]).await.is_err() {
                    return false;
                }
            }
            true
        }
        Step::Hang => {
            // Ends with the client's end of the connection.
            while stream.read_u8().await.is_ok() {}
            false
        }
        Step::Close => false,
        Step::Reset => {
            stream.set_zero_linger().unwrap();
            false
        }
    }
}
