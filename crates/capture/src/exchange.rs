//! HTTP/1 on a tunnel, driven by whoever waits for the answer instead of by a task.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use planner::{Chain, Reason};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::access::{Tunnel, TunnelFault};
use crate::failure::Failure;

/// Largest head of an answer, and largest piece of a body in memory. Go's answers have heads of 200 bytes;
/// 32 KiB is what the kubelet sends at once.
const BUFFER_BYTES_MAX: usize = 32 << 10;

/// Most header lines of an answer. Go's have five, a proxy in between adds a dozen.
const HEADERS_MAX: usize = 64;

/// A connection on which questions are asked, one after the other.
pub(crate) struct Exchange {
    sender: SendRequest<Empty<Bytes>>,
    connection: Driven,
    witness: Arc<Mutex<Witness>>,
}

/// Where an exchange was when it broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Body,
}

impl Exchange {
    /// Speaks HTTP on a tunnel.
    pub(crate) async fn open(tunnel: Tunnel) -> Result<Self, Failure> {
        let witness = Arc::new(Mutex::new(Witness::default()));
        let io = TokioIo::new(Witnessed {
            tunnel,
            witness: Arc::clone(&witness),
        });
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(BUFFER_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .handshake(io)
            .await
            .map_err(|error| Failure::new(Reason::ProtocolError, format!("no HTTP on the tunnel: {error}")))?;
        Ok(Self {
            sender,
            connection: Some(Box::pin(connection)),
            witness,
        })
    }

    /// Asks, and waits for the head of the answer.
    pub(crate) async fn ask(&mut self, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let Self { sender, connection, .. } = self;
        match drive(connection, sender.send_request(request)).await {
            Ok(response) => Ok(response),
            Err(error) => Err(self.broken(&error, Stage::Head)),
        }
    }

    /// The next piece of a body, none at its end. An end that the framing did not announce is an error.
    pub(crate) async fn piece(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
        match drive(&mut self.connection, body.frame()).await {
            None => Ok(None),
            // A frame of trailers counts as an empty piece.
            Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
            Some(Err(error)) => Err(self.broken(&error, Stage::Body)),
        }
    }

    /// After a body was read to its end: whether another question can be asked on this connection. Waits
    /// for nothing that the peer does: a connection that is to be kept is so at once.
    pub(crate) async fn is_reusable(&mut self) -> bool {
        let Self { sender, connection, .. } = self;
        let mut ready = pin!(sender.ready());
        // Two turns: in the first the connection learns that the body is over, in the second it says so.
        for _ in 0..2 {
            let polled = poll_fn(|context| {
                poll_connection(connection, context);
                Poll::Ready(ready.as_mut().poll(context))
            });
            if let Poll::Ready(outcome) = polled.await {
                return outcome.is_ok();
            }
        }
        false
    }

    fn broken(&self, error: &hyper::Error, stage: Stage) -> Failure {
        let witness = self.witness.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fault) = &witness.fault {
            return Failure::new(fault.reason, format!("the connection to the target failed: {fault}"));
        }
        let detail = Chain(error);
        if error.is_parse() || !witness.closed {
            return Failure::new(
                Reason::ProtocolError,
                format!("the answer is not proper HTTP: {detail}"),
            );
        }
        match stage {
            Stage::Head => {
                let text = format!("the target closed the connection before it answered ({detail})");
                Failure::new(Reason::TunnelBroken, text)
            }
            Stage::Body => {
                let text = format!("the target closed the connection before the announced end of the body ({detail})");
                Failure::new(Reason::Truncated, text)
            }
        }
    }
}

/// The connection's own work; none once it has ended.
type Driven = Option<Pin<Box<Http>>>;

type Http = Connection<TokioIo<Witnessed>, Empty<Bytes>>;

/// Moves the connection and the work that waits for it in the same task.
async fn drive<T>(connection: &mut Driven, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        poll_connection(connection, context);
        work.as_mut().poll(context)
    })
    .await
}

fn poll_connection(connection: &mut Driven, context: &mut Context<'_>) {
    // How it ended reaches the waiting work through hyper, and the cause through the witness.
    if connection
        .as_mut()
        .is_some_and(|one| one.as_mut().poll(context).is_ready())
    {
        *connection = None;
    }
}

/// What a tunnel did. hyper has its own words for it, and in some places none: the cause is kept here.
#[derive(Debug, Default)]
struct Witness {
    closed: bool,
    fault: Option<TunnelFault>,
}

struct Witnessed {
    tunnel: Tunnel,
    witness: Arc<Mutex<Witness>>,
}

impl Witnessed {
    fn note(&self, error: &io::Error) {
        let mut witness = self.witness.lock().unwrap_or_else(PoisonError::into_inner);
        if witness.fault.is_none() {
            witness.fault = Some(TunnelFault::of(error));
        }
    }

    fn noted<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &polled {
            self.note(error);
        }
        polled
    }
}

impl AsyncRead for Witnessed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let polled = Pin::new(&mut self.tunnel).poll_read(context, buffer);
        ready!(self.noted(polled))?;
        if room > 0 && buffer.filled().len() == before {
            self.witness.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Witnessed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tunnel).poll_write(context, bytes);
        self.noted(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.tunnel).poll_flush(context);
        self.noted(polled)
    }

    /// Does nothing: closing the write side makes forwarders, and some programs, drop the rest of the
    /// answer. Dropping the tunnel closes it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
