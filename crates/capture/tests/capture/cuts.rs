//! An answer that is cut off after any of its bytes is never a shorter profile. `SOAK=1` cuts after every byte, otherwise
//! after a spread of them.

use capture::Artifact;
use planner::{ProfileType, Reason};
use testkit::soak;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::cluster::{Cluster, Frame, Reply};
use crate::forward::{frames, heap_through};
use crate::job::take_one;
use crate::pprof::heap;
use crate::server::{Server, Step, chunk, head};

/// Shorter than the head, than a chunk's frame and than the trailer of gzip, so that each is cut somewhere, and odd.
const SPREAD_BYTES: usize = 7;

/// The same answer in every form that a body's end can have.
fn answers() -> [(&'static str, Vec<u8>); 3] {
    let body = heap();
    let (first, second) = body.split_at(body.len() / 2);
    let chunks = [chunk(first), chunk(second), b"0\r\n\r\n".to_vec()].concat();
    let length = format!("Content-Length: {}", body.len());
    [
        ("length", [head(&[&length]), body.clone()].concat()),
        ("chunks", [head(&["Transfer-Encoding: chunked"]), chunks].concat()),
        ("close", [head(&[]), body].concat()),
    ]
}

async fn taken(steps: Vec<Step>) -> Result<Artifact, Reason> {
    let server = Server::always(steps).await;
    let taken = take_one(server.port, ProfileType::Heap).await;
    taken.map(|(artifact, _)| artifact).map_err(|failure| failure.reason)
}

#[tokio::test]
async fn failure_16_an_answer_cut_after_any_byte_is_no_shorter_profile() {
    for (form, answer) in answers() {
        let whole = taken(vec![Step::Send(answer.clone()), Step::Close]).await;
        assert_eq!(whole.map(|artifact| artifact.bytes), Ok(heap().len() as u64), "{form}");
        for end in (0..answer.len()).step_by(soak::step(SPREAD_BYTES)) {
            for ending in [Step::Close, Step::Reset] {
                let cut = vec![Step::Send(answer[..end].to_vec()), ending];
                assert!(taken(cut).await.is_err(), "{form}, cut after {end} bytes");
            }
        }
    }
}

#[tokio::test]
async fn failure_16_a_tunnel_cut_after_any_byte_is_no_shorter_profile() {
    for (form, answer) in answers() {
        for end in (0..answer.len()).step_by(soak::step(5 * SPREAD_BYTES)) {
            for ending in [
                Frame::Close(CloseCode::Normal),
                Frame::Close(CloseCode::Away),
                Frame::End,
                Frame::Reset,
            ] {
                let cut = frames(vec![Frame::Data(answer[..end].to_vec()), ending]);
                let cluster = Cluster::with_tunnel(Reply::Tunnel(cut)).await;
                assert!(heap_through(&cluster).await.is_err(), "{form}, cut after {end} bytes");
            }
        }
    }
}
