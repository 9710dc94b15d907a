//! A body on its way from the tunnel through hash and check into a file.

mod proof;
mod writer;

use std::time::Duration;

use bytes::Bytes;
use http::{Response, header};
use hyper::body::{Body, Incoming};
use planner::Reason;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};

use crate::exchange::Exchange;
use crate::failure::{Failure, quote};
use crate::settings::Settings;
use crate::spool::SpooledFile;

pub(crate) use self::proof::Expected;
pub use self::proof::Summary;

/// A whole body.
pub(crate) struct Received {
    pub(crate) file: SpooledFile,
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; 32],
    pub(crate) summary: Option<Summary>,
}

/// What a body may cost and when it must be there.
pub(crate) struct Bounds<'s> {
    pub(crate) settings: &'s Settings,
    pub(crate) bytes_max: u64,
    /// When the question was asked.
    pub(crate) asked_at: Instant,
    /// How long the program is entitled to say nothing.
    pub(crate) window: Duration,
    /// For the whole exchange, before the allowance for what arrived.
    pub(crate) deadline: Duration,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// By a length or a last chunk, which hyper insists on.
    Announced,
    /// By the end of the connection, which proves nothing: only the format's own end can.
    UntilClose,
}

/// Reads the body of an answer of status 200. The file is deleted unless all of it is well.
pub(crate) async fn receive(
    exchange: &mut Exchange,
    response: Response<Incoming>,
    expected: &Expected,
    bounds: &Bounds<'_>,
) -> Result<Received, Failure> {
    look_at_head(&response)?;
    let announced_bytes = response.body().size_hint().exact();
    if let Some(bytes) = announced_bytes.filter(|bytes| *bytes > bounds.bytes_max) {
        return Err(bounds.too_large(&format!("announces {bytes} bytes, more")));
    }
    let framing = framing(&response, announced_bytes);
    if framing == Framing::UntilClose {
        expected.may_end_with_connection()?;
    }
    let mut body = response.into_body();
    let mut spooled = writer::Writer::create(&bounds.settings.spool).await?;
    let mut proof = expected.start();
    let mut hash = Sha256::new();
    let mut bytes = 0_u64;
    // Ends with the body: each turn waits no longer than its deadline and counts towards the limit.
    while let Some(piece) = bounds.next_piece(exchange, &mut body, bytes).await? {
        bytes = bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if bytes > bounds.bytes_max {
            return Err(bounds.too_large("is larger"));
        }
        proof.feed(&piece).await?;
        hash.update(&piece);
        spooled.write(&piece).await?;
    }
    let summary = proof.finish(framing == Framing::Announced)?;
    let file = spooled.finish().await?;
    Ok(Received {
        file,
        bytes,
        sha256: hash.finalize().into(),
        summary,
    })
}

/// The head of a small text that goes with an error status, and whether that was all of it.
pub(crate) async fn read_text(
    exchange: &mut Exchange,
    response: Response<Incoming>,
    bounds: &Bounds<'_>,
) -> (Vec<u8>, bool) {
    /// Go's handlers write one sentence.
    const TEXT_BYTES_MAX: usize = 4 << 10;
    let mut body = response.into_body();
    let mut text = Vec::new();
    loop {
        let received = u64::try_from(text.len()).unwrap_or(u64::MAX);
        match bounds.next_piece(exchange, &mut body, received).await {
            Ok(Some(piece)) => {
                let room = TEXT_BYTES_MAX - text.len();
                text.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.len() > room {
                    return (text, false);
                }
            }
            Ok(None) => return (text, true),
            // The status has said enough; what it was that broke off behind it does not matter.
            Err(_) => return (text, false),
        }
    }
}

fn look_at_head(response: &Response<Incoming>) -> Result<(), Failure> {
    let headers = response.headers();
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        let lower = kind.as_bytes().to_ascii_lowercase();
        if [b"text/".as_slice(), b"application/json", b"application/xhtml"]
            .iter()
            .any(|one| lower.starts_with(one))
        {
            let text = format!(
                "the answer is a page of type {}, not a profile: is another server at this port?",
                quote(kind.as_bytes())
            );
            return Err(Failure::new(Reason::NotAProfile, text));
        }
    }
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            let text = format!(
                "the answer is compressed once more ({}) although that was ruled out: exempt /debug/pprof from the \
                 program's compression",
                quote(encoding.as_bytes())
            );
            Err(Failure::new(Reason::NotAProfile, text))
        }
        _ => Ok(()),
    }
}

fn framing(response: &Response<Incoming>, announced_bytes: Option<u64>) -> Framing {
    // hyper has verified that the last coding is chunked where the header is there at all.
    let is_chunked =
        response.version() != http::Version::HTTP_10 && response.headers().contains_key(header::TRANSFER_ENCODING);
    if announced_bytes.is_some() || is_chunked {
        Framing::Announced
    } else {
        Framing::UntilClose
    }
}

impl Bounds<'_> {
    async fn next_piece(
        &self,
        exchange: &mut Exchange,
        body: &mut Incoming,
        received: u64,
    ) -> Result<Option<Bytes>, Failure> {
        let allowance = Duration::from_secs(received / self.settings.bytes_per_second_min.max(1));
        let end = self.asked_at + self.deadline + allowance;
        // A program may collect for the whole window before it writes, or write a little and then collect.
        let stalled = Instant::now().max(self.asked_at + self.window) + self.settings.stall_deadline;
        match timeout_at(end.min(stalled), exchange.piece(body)).await {
            Ok(piece) => piece,
            Err(_) if stalled < end => {
                let text = format!(
                    "nothing came for {:?} after {received} bytes",
                    self.settings.stall_deadline
                );
                Err(Failure::new(Reason::Stalled, text))
            }
            Err(_) => {
                let text = format!(
                    "the body was not complete {:?} after the request",
                    self.deadline + allowance
                );
                Err(Failure::new(Reason::TimedOut, text))
            }
        }
    }

    fn too_large(&self, what: &str) -> Failure {
        let text = format!(
            "the body {what} than maxBytes allows ({} bytes): raise spec.capture.maxBytes",
            self.bytes_max
        );
        Failure::new(Reason::BodyTooLarge, text)
    }
}
