//! An API server on loopback with one pod, as far as a capture sees it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use capture::access::Kube;
use futures::{SinkExt, StreamExt};
use kube::{Client, Config};
use planner::TargetId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};

/// What the API server does with a request.
#[derive(Clone)]
pub enum Reply {
    /// Answers with a status and a JSON body.
    Json(u16, String),
    /// Upgrades, and then does this.
    Tunnel(Vec<Frame>),
    /// Upgrades, and joins the tunnel with a port of loopback, as a kubelet does.
    Forward(u16),
    /// Answers 101 with these header lines instead of the proper ones.
    Upgrade(Vec<String>),
    /// Says nothing.
    Hang,
}

/// What a tunnel does.
#[derive(Clone)]
pub enum Frame {
    /// Announces the port on both channels.
    Announce(u16),
    /// Waits for a request.
    Request,
    /// Sends on the data channel.
    Data(Vec<u8>),
    /// Sends on the error channel.
    Error(&'static str),
    /// Sends a message as it is.
    Raw(Message),
    /// Sends a ping and waits for its answer.
    Ping,
    /// Closes as the protocol wants it.
    Close(CloseCode),
    /// Ends the connection without a close.
    End,
    /// Ends it with a reset.
    Reset,
    /// Keeps it and says nothing more.
    Hang,
}

/// The server; it ends when it is dropped.
pub struct Cluster {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    open_tunnels: Arc<Mutex<usize>>,
    _owner: JoinSet<()>,
}

impl Cluster {
    /// `reply` says what to do with a path that is asked for the `nth` time, from 0.
    pub async fn start(reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let open_tunnels = Arc::new(Mutex::new(0));
        let mut owner = JoinSet::new();
        owner.spawn(serve(
            listener,
            Arc::new(reply),
            Arc::clone(&heads),
            Arc::clone(&open_tunnels),
        ));
        Self {
            port,
            heads,
            open_tunnels,
            _owner: owner,
        }
    }

    /// One with the pod of the jobs, whose tunnels do as told.
    pub async fn with_tunnel(reply: Reply) -> Self {
        Self::start(move |path, _| {
            if path.contains("/portforward") {
                reply.clone()
            } else {
                pod("")
            }
        })
        .await
    }

    /// An access through it.
    pub fn access(&self) -> Kube {
        let mut config = Config::new(format!("http://127.0.0.1:{}", self.port).parse().unwrap());
        config.default_retry = false;
        Kube::new(Client::try_from(config).unwrap(), target_of_uid)
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Waits until every tunnel was closed by the client.
    pub async fn no_tunnel_is_open(&self) {
        let closed = async {
            while *self.open_tunnels.lock().unwrap() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(20), closed)
            .await
            .expect("the client closes its tunnels");
    }
}

/// The identity of a UID, as the pods here have them.
pub fn target_of_uid(uid: &str) -> TargetId {
    TargetId(u128::from_str_radix(&uid.replace('-', ""), 16).unwrap())
}

/// The pod of the jobs, with `more` JSON fields before the usual ones.
pub fn pod(more: &str) -> Reply {
    pod_of("00000000-0000-0000-0000-000000000007", "", more)
}

/// A pod with a UID, more metadata and more fields.
pub fn pod_of(uid: &str, metadata: &str, more: &str) -> Reply {
    let json = format!(
        r#"{{"kind":"Pod",{more}"metadata":{{{metadata}"name":"web-1","uid":"{uid}"}},
        "status":{{"phase":"Running","podIP":"10.1.2.3","podIPs":[{{"ip":"10.1.2.3"}},{{"ip":"fd00::7"}}],
        "containerStatuses":[{{"name":"web","restartCount":2}},{{"name":"proxy","restartCount":1}}]}}}}"#
    );
    Reply::Json(200, json)
}

/// A `Status` as API servers send it.
pub fn status(code: u16, message: &str) -> Reply {
    Reply::Json(
        code,
        format!(r#"{{"kind":"Status","status":"Failure","message":"{message}","code":{code}}}"#),
    )
}

type Script = dyn Fn(&str, usize) -> Reply + Send + Sync;

async fn serve(
    listener: TcpListener,
    reply: Arc<Script>,
    heads: Arc<Mutex<Vec<String>>>,
    open_tunnels: Arc<Mutex<usize>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(converse(
            stream,
            Arc::clone(&reply),
            Arc::clone(&heads),
            Arc::clone(&open_tunnels),
        ));
    }
}

async fn converse(
    mut stream: TcpStream,
    reply: Arc<Script>,
    heads: Arc<Mutex<Vec<String>>>,
    open_tunnels: Arc<Mutex<usize>>,
) {
    while let Some(head) = read_head(&mut stream).await {
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let nth = {
            let mut heads = heads.lock().unwrap();
            heads.push(head.clone());
            heads
                .iter()
                .filter(|one| one.split(' ').nth(1) == Some(path.as_str()))
                .count()
                - 1
        };
        match reply(&path, nth) {
            Reply::Json(status, body) => {
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
                );
                stream
                    .write_all([head.as_bytes(), body.as_bytes()].concat().as_slice())
                    .await
                    .unwrap();
            }
            Reply::Hang => {
                while stream.read_u8().await.is_ok() {}
                return;
            }
            Reply::Upgrade(lines) => {
                let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
                let head = format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                while stream.read_u8().await.is_ok() {}
                return;
            }
            tunnel @ (Reply::Tunnel(_) | Reply::Forward(_)) => {
                let socket = upgrade(stream, &head).await;
                *open_tunnels.lock().unwrap() += 1;
                match tunnel {
                    Reply::Tunnel(frames) => play(socket, frames).await,
                    Reply::Forward(port) => forward(socket, port).await,
                    Reply::Json(..) | Reply::Hang | Reply::Upgrade(_) => unreachable!(),
                }
                *open_tunnels.lock().unwrap() -= 1;
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

type Socket = WebSocketStream<TcpStream>;

async fn upgrade(mut stream: TcpStream, head: &str) -> Socket {
    let key = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .starts_with("sec-websocket-key: ")
                .then(|| line[19..].to_owned())
        })
        .unwrap();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \
         {}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    WebSocketStream::from_raw_socket(stream, Role::Server, None).await
}

fn on_channel(channel: u8, content: &[u8]) -> Message {
    Message::Binary(Bytes::from([&[channel], content].concat()))
}

async fn play(mut socket: Socket, frames: Vec<Frame>) {
    for frame in frames {
        // A send that fails means that the client is gone, which the tests look at from the other side.
        let _gone = match frame {
            Frame::Announce(port) => {
                let _gone = socket.send(on_channel(0, &port.to_le_bytes())).await;
                socket.send(on_channel(1, &port.to_le_bytes())).await
            }
            Frame::Data(content) => socket.send(on_channel(0, &content)).await,
            Frame::Error(text) => socket.send(on_channel(1, text.as_bytes())).await,
            Frame::Raw(message) => socket.send(message).await,
            Frame::Close(code) => {
                let gone = socket
                    .send(Message::Close(Some(CloseFrame {
                        code,
                        reason: "because".into(),
                    })))
                    .await;
                drain(&mut socket).await;
                gone
            }
            Frame::Request => {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let Some(Ok(Message::Binary(message))) = socket.next().await else {
                        return;
                    };
                    assert_eq!(message[0], 0, "requests come on the data channel");
                    request.extend_from_slice(&message[1..]);
                }
                Ok(())
            }
            Frame::Ping => {
                let gone = socket.send(Message::Ping(Bytes::from_static(b"there?"))).await;
                loop {
                    match socket.next().await {
                        Some(Ok(Message::Pong(answer))) => break assert_eq!(answer.as_ref(), b"there?"),
                        Some(Ok(_)) => {}
                        _ => return,
                    }
                }
                gone
            }
            Frame::End => return,
            Frame::Reset => return socket.get_ref().set_zero_linger().unwrap(),
            Frame::Hang => {
                drain(&mut socket).await;
                Ok(())
            }
        };
    }
}

async fn drain(socket: &mut Socket) {
    while let Some(Ok(_)) = socket.next().await {}
}

/// What a kubelet does. It does not tell the tunnel when the target closes, as one of them does not: only
/// the framing of the answer says that it is over.
async fn forward(mut socket: Socket, port: u16) {
    let mut target = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    for channel in [0, 1] {
        if socket.send(on_channel(channel, &port.to_le_bytes())).await.is_err() {
            return;
        }
    }
    let mut buffer = vec![0; 32 << 10];
    let mut is_open = true;
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(message))) => target.write_all(&message[1..]).await.unwrap(),
                Some(Ok(_)) => {}
                _ => return,
            },
            read = target.read(&mut buffer), if is_open => match read {
                Ok(0) | Err(_) => is_open = false,
                Ok(length) => if socket.send(on_channel(0, &buffer[..length])).await.is_err() { return },
            },
        }
    }
}
