//! A client for the API server's port-forward: one WebSocket, one port, one connection in the pod.
//!
//! Written here because the one that comes with kube turns a broken tunnel into a clean end of file,
//! leaves a task and two descriptors behind when it is dropped, and drops the rest of an answer when the
//! write side is closed. This one is a plain struct that reads and writes the socket when it is polled:
//! there is no task, so dropping it closes the connection.
//!
//! The protocol, `v4.channel.k8s.io`: every binary message begins with a byte that names its channel. For
//! one port there are two, data (0) and error (1), and the server's first message on each is the port,
//! two bytes, low one first. Text on the error channel says why the connection in the pod ended or never
//! was. There is no way to close one direction.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::kube::Client;
use ::kube::client::Body;
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Sink, Stream};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use planner::{CaptureJob, Chain, Reason};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::Error as SocketError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig, frame::coding::CloseCode};

use super::kube::{pod_path, refusal};
use super::{Tunnel, TunnelFault};
use crate::failure::{Failure, quote};

const PROTOCOL: &str = "v4.channel.k8s.io";
const DATA: u8 = 0;
const ERROR: u8 = 1;

/// Largest message taken. Kubelets copy in pieces of 32 KiB and a byte for the channel; eight times that
/// leaves room for another implementation, and bounds what a broken one can make us hold.
const MESSAGE_BYTES_MAX: usize = 256 << 10;

/// Largest message sent; requests are shorter than one of them.
const WRITE_BYTES_MAX: usize = 16 << 10;

/// Time from one ping to the next while nothing comes. A CPU profile is silent for its window of up to 120 s;
/// load balancers before API servers forget a connection after as little as 60 s.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Opens a tunnel to the job's port.
pub(super) async fn open(client: &Client, job: &CaptureJob) -> Result<Tunnel, Failure> {
    let key = generate_key();
    let request = upgrade_request(job, &key)?;
    let response = client.send(request).await.map_err(|error| {
        let text = format!("no tunnel to pod {}/{}: {}", job.namespace, job.pod, Chain(&error));
        Failure::new(Reason::ForwardRefused, text)
    })?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status();
        let said = refusal(response.into_body()).await;
        return Err(refused(job, status, &said));
    }
    let broken_rule = |rule: &str| {
        let text = format!(
            "no tunnel to pod {}/{}: the API server's upgrade {rule}",
            job.namespace, job.pod
        );
        Failure::new(Reason::ProtocolError, text)
    };
    verify(&response, &key).map_err(broken_rule)?;
    let upgraded = hyper::upgrade::on(response)
        .await
        .map_err(|error| broken_rule(&format!("broke off: {error}")))?;
    let config = WebSocketConfig::default()
        .read_buffer_size(16 << 10)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * WRITE_BYTES_MAX)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(config)).await;
    Ok(Box::new(PortForward::<TokioIo<Upgraded>>::new(socket, job.port)))
}

fn upgrade_request(job: &CaptureJob, key: &str) -> Result<Request<Body>, Failure> {
    Request::get(format!("{}/portforward?ports={}", pod_path(job)?, job.port))
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, key)
        .header(header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL)
        .body(Body::empty())
        .map_err(|error| Failure::new(Reason::InvalidSpec, format!("no request can be made: {error}")))
}

/// The rules of RFC 6455 for the server's answer, and the one protocol that was offered.
fn verify(response: &Response<Body>, key: &str) -> Result<(), &'static str> {
    let has = |name, value: &str| {
        let is = |one: &HeaderValue| one.as_bytes().eq_ignore_ascii_case(value.as_bytes());
        response.headers().get(name).is_some_and(is)
    };
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err("is not one to a WebSocket");
    }
    let accept = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
    if accept.is_none_or(|one| one.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err("answers another request");
    }
    if !has(header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL) {
        return Err("does not speak v4.channel.k8s.io");
    }
    Ok(())
}

fn refused(job: &CaptureJob, status: StatusCode, said: &str) -> Failure {
    let (namespace, pod) = (&job.namespace, &job.pod);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::new(
            Reason::Forbidden,
            format!(
                "the operator may not open a tunnel to pod {namespace}/{pod}; its role needs get and create of \
                 pods/portforward there ({said})"
            ),
        ),
        StatusCode::NOT_FOUND => Failure::new(Reason::PodReplaced, format!("pod {namespace}/{pod} is gone ({said})")),
        _ => Failure::new(
            Reason::ForwardRefused,
            format!("no tunnel to pod {namespace}/{pod}: the API server or the kubelet answered {status} ({said})"),
        ),
    }
}

/// The tunnel.
struct PortForward<S> {
    socket: WebSocketStream<S>,
    port: u16,
    /// Whether the port was announced on channel 0 and on channel 1.
    announced: [bool; 2],
    /// Whether the pod has sent anything yet.
    answered: bool,
    /// What came and was not read yet.
    unread: Bytes,
    ping: Interval,
    /// How it ended. Once it has, nothing is read from the socket any more.
    end: Option<Result<(), TunnelFault>>,
}

impl<S> PortForward<S> {
    fn new(socket: WebSocketStream<S>, port: u16) -> Self {
        let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            socket,
            port,
            announced: [false; 2],
            answered: false,
            unread: Bytes::new(),
            ping,
            end: None,
        }
    }

    /// What a message means for the reader.
    fn accept(&mut self, message: Message) -> Result<(), TunnelFault> {
        match message {
            Message::Binary(message) => self.accept_binary(message),
            // The socket has queued the answer to a ping; the next read or write sends it.
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(frame) => {
                self.end = Some(closed(frame));
                Ok(())
            }
            Message::Text(_) | Message::Frame(_) => Err(against_protocol("a text message")),
        }
    }

    fn accept_binary(&mut self, mut message: Bytes) -> Result<(), TunnelFault> {
        let Some(&channel) = message.first() else { return Ok(()) };
        let content = message.split_off(1);
        let Some(announced) = self.announced.get_mut(usize::from(channel)) else {
            return Err(against_protocol("a message on a channel that does not exist"));
        };
        if !*announced {
            *announced = true;
            let is_port = content.as_ref() == self.port.to_le_bytes();
            return if is_port {
                Ok(())
            } else {
                Err(against_protocol("another port than the one asked for"))
            };
        }
        match channel {
            DATA => {
                self.answered |= !content.is_empty();
                self.unread = content;
                Ok(())
            }
            ERROR if content.is_empty() => Ok(()),
            _ => Err(self.said_on_error_channel(&content)),
        }
    }

    fn said_on_error_channel(&self, content: &[u8]) -> TunnelFault {
        // The kubelet's sentence is longer than a quote and what matters is at its end.
        let all = String::from_utf8_lossy(content);
        let reason = if all.to_ascii_lowercase().contains("connection refused") {
            Reason::ConnectionRefused
        } else if self.answered {
            Reason::TunnelBroken
        } else {
            Reason::ForwardRefused
        };
        TunnelFault {
            reason,
            message: format!("the kubelet says: {}", quote(content)),
        }
    }
}

/// A close that says nothing, or that all went well, is the pod's own end of file. Every other one is a
/// component on the way that gave up.
fn closed(frame: Option<CloseFrame>) -> Result<(), TunnelFault> {
    match frame {
        None => Ok(()),
        Some(frame) if frame.code == CloseCode::Normal => Ok(()),
        Some(frame) => Err(TunnelFault {
            reason: Reason::TunnelBroken,
            message: format!(
                "the tunnel was closed with code {} {}",
                frame.code,
                quote(frame.reason.as_bytes())
            ),
        }),
    }
}

fn against_protocol(what: &str) -> TunnelFault {
    TunnelFault {
        reason: Reason::ProtocolError,
        message: format!("the tunnel brought {what}"),
    }
}

fn broken(error: &SocketError) -> TunnelFault {
    TunnelFault {
        reason: Reason::TunnelBroken,
        message: format!("the tunnel broke: {error}"),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> PortForward<S> {
    /// Sends a ping, unless something else is still on its way out, which serves as well.
    fn send_ping(&mut self, context: &mut Context<'_>) -> Result<(), SocketError> {
        let mut socket = Pin::new(&mut self.socket);
        if let Poll::Ready(room) = socket.as_mut().poll_ready(context) {
            room?;
            socket.as_mut().start_send(Message::Ping(Bytes::new()))?;
            if let Poll::Ready(sent) = socket.poll_flush(context) {
                sent?;
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for PortForward<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Each turn takes a message off the socket; when there is none, or the task has had its share, the
        // socket is pending.
        loop {
            if !this.unread.is_empty() || buffer.remaining() == 0 {
                let length = this.unread.len().min(buffer.remaining());
                buffer.put_slice(&this.unread.split_to(length));
                return Poll::Ready(Ok(()));
            }
            match &this.end {
                None => {}
                Some(Ok(())) => return Poll::Ready(Ok(())),
                Some(Err(fault)) => return Poll::Ready(Err(io::Error::other(fault.clone()))),
            }
            let accepted = match Pin::new(&mut this.socket).poll_next(context) {
                Poll::Ready(Some(Ok(message))) => this.accept(message),
                Poll::Ready(Some(Err(error))) => Err(broken(&error)),
                Poll::Ready(None) => Err(broken(&SocketError::ConnectionClosed)),
                Poll::Pending => {
                    ready!(this.ping.poll_tick(context));
                    this.send_ping(context).map_err(|error| broken(&error))
                }
            };
            if let Err(fault) = accepted {
                this.end = Some(Err(fault));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for PortForward<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let write_error = |error: SocketError| io::Error::other(broken(&error));
        ready!(Pin::new(&mut this.socket).poll_ready(context)).map_err(write_error)?;
        let bytes = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        let mut message = BytesMut::with_capacity(bytes.len() + 1);
        message.put_u8(DATA);
        message.put_slice(bytes);
        Pin::new(&mut this.socket)
            .start_send(Message::Binary(message.freeze()))
            .map_err(write_error)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = Pin::new(&mut self.get_mut().socket);
        socket
            .poll_flush(context)
            .map_err(|error| io::Error::other(broken(&error)))
    }

    /// Does nothing: the protocol cannot close one direction, and closing both would lose the rest of the
    /// answer. Dropping the tunnel closes it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_tunnel_is_kept_open_with_pings() {
        let (near, far) = tokio::io::duplex(1 << 10);
        let near = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
        let mut far = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        let mut tunnel = PortForward::new(near, 6060);
        let started = Instant::now();
        let mut byte = [0];
        let reading = async { tunnel.read(&mut byte).await };
        let pings = async {
            for _ in 0..3 {
                let message = far.next().await.unwrap().unwrap();
                assert!(message.is_ping(), "{message:?}");
            }
            started.elapsed()
        };
        tokio::select! {
            read = reading => panic!("nothing was sent, and {read:?} was read"),
            took = pings => assert_eq!(took, 3 * PING_EVERY),
        }
    }
}
