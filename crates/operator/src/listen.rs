//! Where the operator listens: on both families of addresses, or on the one that the machine has.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// Connections that wait to be accepted: the standard library's number.
const BACKLOG: i32 = 128;

/// Listens at an address. `[::]` is every address of the machine, of either family; where the machine has no IPv6, it is
/// every one of IPv4. Any other address is that address.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.is_ipv6() || !address.ip().is_unspecified() {
        return TcpListener::bind(address);
    }
    match listen_on_both(address) {
        Ok(listener) => Ok(listener),
        Err(error) if lacks_ipv6(error) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())),
        Err(error) => Err(error.into()),
    }
}

/// What the standard library's `bind` does, and that IPv4 is taken, too, whatever the node's `net.ipv6.bindv6only` says.
fn listen_on_both(address: SocketAddr) -> rustix::io::Result<TcpListener> {
    let socket = rustix::net::socket_with(AddressFamily::INET6, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_ipv6_v6only(&socket, false)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

/// Whether the machine has no IPv6: its kernel was built or started without, or it is switched off for this network.
fn lacks_ipv6(error: rustix::io::Errno) -> bool {
    matches!(error, rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn reaches(address: &str, port: u16) -> bool {
        TcpStream::connect((address, port)).is_ok()
    }

    #[test]
    fn every_address_means_both_families() {
        let listener = listen("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(reaches("127.0.0.1", port));
        let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
        assert_eq!(reaches("::1", port), has_ipv6);
        let taken = listen(SocketAddr::new("::".parse().unwrap(), port));
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn one_address_means_that_one() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(reaches("127.0.0.1", port));
        assert!(!reaches("::1", port));
        let every = listen("0.0.0.0:0".parse().unwrap()).unwrap();
        assert!(every.local_addr().unwrap().is_ipv4());
    }

    #[test]
    fn only_a_machine_without_ipv6_is_asked_for_ipv4_instead() {
        assert!(lacks_ipv6(rustix::io::Errno::AFNOSUPPORT));
        assert!(lacks_ipv6(rustix::io::Errno::ADDRNOTAVAIL));
        assert!(!lacks_ipv6(rustix::io::Errno::ADDRINUSE));
        assert!(!lacks_ipv6(rustix::io::Errno::ACCESS));
    }
}
