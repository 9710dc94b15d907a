//! Requests to pods: stories run in the network in which pods have their addresses.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Every answer of the sample app and of the operator's own ports comes within milliseconds.
const DEADLINE: Duration = Duration::from_secs(10);

/// More than any page that a story reads.
const BODY_BYTES_MAX: u64 = 16 << 20;

/// The body of a GET; a status other than 2xx is an error with the body.
pub fn get(address: SocketAddr, path: &str) -> Result<String> {
    send(address, "GET", path, None)
}

/// As [`get`], with another method, and a body with its type.
pub fn send(address: SocketAddr, method: &str, path: &str, body: Option<(&str, &str)>) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).with_context(|| format!("connect to {address}"))?;
    stream.set_read_timeout(Some(DEADLINE)).context("set deadline")?;
    stream.set_write_timeout(Some(DEADLINE)).context("set deadline")?;
    // HTTP/1.0: the answer is not chunked and ends with the connection.
    let mut request = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\n");
    if let Some((kind, body)) = body {
        request.push_str(&format!(
            "Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    } else {
        request.push_str("\r\n");
    }
    stream.write_all(request.as_bytes()).context("send request")?;
    let mut answer = String::new();
    stream
        .take(BODY_BYTES_MAX)
        .read_to_string(&mut answer)
        .with_context(|| format!("read {path} of {address}"))?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("{path} of {address}: no answer"))?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if !status.starts_with('2') {
        bail!("{path} of {address}: {status}: {}", body.trim());
    }
    Ok(body.to_owned())
}
