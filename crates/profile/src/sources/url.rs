//! Whether Go's `net/url` takes a text for an absolute URL.
//!
//! pprof forgets the file of a mapping that is one: it is where the profile came from, not what was mapped.

use std::net::Ipv6Addr;

/// Where in a URL a text stands: what may be written there, and what may be escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Host,
    Zone,
    Other,
}

pub(super) fn is_absolute(text: &[u8]) -> bool {
    let (url, fragment) = cut(text, b'#');
    if url.iter().any(u8::is_ascii_control) || !is_escaped(fragment, Part::Other) {
        return false;
    }
    let Some((scheme, rest)) = scheme(url) else {
        return false;
    };
    let (rest, _) = cut(rest, b'?');
    let Some(after) = rest.strip_prefix(b"//") else {
        // What has no root is opaque, and may be anything.
        return !rest.starts_with(b"/") || is_escaped(rest, Part::Other);
    };
    let authority = after.split(|byte| *byte == b'/').next().unwrap_or_default();
    let path = after.get(authority.len()..).unwrap_or_default();
    is_authority(scheme, authority) && is_escaped(path, Part::Other)
}

/// A text up to a byte, and from behind it on.
fn cut(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    let place = text.iter().position(|byte| *byte == at);
    let (front, back) = text.split_at_checked(place.unwrap_or(text.len())).unwrap_or_default();
    (front, back.get(1..).unwrap_or_default())
}

fn scheme(url: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = url.iter().position(|byte| *byte == b':')?;
    let (scheme, rest) = url.split_at_checked(end)?;
    let is_scheme = scheme.first()?.is_ascii_alphabetic()
        && scheme
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    is_scheme.then_some((scheme, rest.get(1..)?))
}

fn is_authority(scheme: &[u8], authority: &[u8]) -> bool {
    let Some(at) = authority.iter().rposition(|byte| *byte == b'@') else {
        return is_host(scheme, authority);
    };
    let (user, host) = authority.split_at_checked(at).unwrap_or_default();
    let is_user = user
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(byte));
    is_host(scheme, host.get(1..).unwrap_or_default())
        && is_user
        // A password is escaped by itself: no escape goes over the colon.
        && user.splitn(2, |byte| *byte == b':').all(|part| is_escaped(part, Part::Other))
}

fn is_host(scheme: &[u8], host: &[u8]) -> bool {
    let first_colon = host.iter().position(|byte| *byte == b':');
    let last_colon = host.iter().rposition(|byte| *byte == b':');
    match host.iter().rposition(|byte| *byte == b'[') {
        Some(0) => {
            let Some(end) = host.iter().rposition(|byte| *byte == b']') else {
                return false;
            };
            let (address, port) = host.split_at_checked(end).unwrap_or_default();
            let port = port.get(1..).unwrap_or_default();
            return is_port(port) && is_address(address.get(1..).unwrap_or_default());
        }
        Some(_) => return false,
        None => {}
    }
    let is_web = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    let colon = if is_web { first_colon } else { last_colon };
    let port = colon.and_then(|colon| host.get(colon..)).unwrap_or_default();
    is_port(port) && is_escaped(host, Part::Host)
}

/// Nothing, or a colon and digits, which may be none.
fn is_port(port: &[u8]) -> bool {
    match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// An address of IPv6, which may have a zone behind an escaped percent sign.
fn is_address(text: &[u8]) -> bool {
    let zone = text.windows(3).position(|escape| escape == b"%25");
    let (address, zone) = text.split_at_checked(zone.unwrap_or(text.len())).unwrap_or_default();
    let parses = str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok());
    // The percent sign alone is no zone.
    parses && zone != b"%25" && is_escaped(zone, Part::Zone)
}

/// Whether all escapes are whole and allowed, and so is what is not escaped.
fn is_escaped(text: &[u8], part: Part) -> bool {
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            if part != Part::Other && !is_of_host(*byte) {
                return false;
            }
            continue;
        }
        let hex = |byte: &u8| char::from(*byte).to_digit(16);
        let digits = (after.first().and_then(hex), after.get(1).and_then(hex));
        let (Some(high), Some(low)) = digits else {
            return false;
        };
        // Two digits.
        let escaped = (high * 16 + low) as u8;
        let is_allowed = match part {
            Part::Host => !escaped.is_ascii() || escaped == b'%',
            Part::Zone => escaped == b'%' || escaped == b' ' || (escaped.is_ascii() && is_of_host(escaped)),
            Part::Other => true,
        };
        if !is_allowed {
            return false;
        }
        rest = after.get(2..).unwrap_or_default();
    }
    true
}

/// Whether a byte stands in a host as it is. What is no ASCII does.
fn is_of_host(byte: u8) -> bool {
    !byte.is_ascii() || byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::is_absolute;

    #[test]
    fn urls_are_told_from_files() {
        for (text, absolute) in [
            ("http://localhost:6060/debug/pprof/heap", true),
            ("file:///usr/lib/libc.so", true),
            ("node:internal", true),
            (r"C:\app\main.exe", true),
            ("http://[::1]:80/x", true),
            ("/usr/bin/app", false),
            ("[vdso]", false),
            ("//anon", false),
            ("anon_inode:[perf_event]", false),
            ("http://a:b/", false),
            ("http://::1/", false),
            ("x://::1/", true),
            ("http://a/%zz", false),
            ("http://a b/", false),
            ("a:\n", false),
            ("", false),
        ] {
            assert_eq!(is_absolute(text.as_bytes()), absolute, "{text}");
        }
    }
}
