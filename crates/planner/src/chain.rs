//! An error with its causes, as one line for people.

use alloc::string::ToString as _;
use core::error::Error;
use core::fmt;

/// Errors are three or four deep; the bound is against one that is its own cause.
const CAUSES_MAX: usize = 8;

/// Displays an error and what caused it, on one line.
///
/// Errors of ours never repeat their source; those of other crates do, and what was said once is not said again.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        let causes = core::iter::successors(self.0.source(), |error| (*error).source());
        for cause in causes.take(CAUSES_MAX) {
            let cause = cause.to_string();
            if !said.contains(&cause) {
                said.push_str(": ");
                said.push_str(&cause);
            }
        }
        out.write_str(&said)
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<&'static Layer>);

    impl fmt::Display for Layer {
        fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.map(|under| under as &(dyn Error + 'static))
        }
    }

    fn line(error: &Layer) -> String {
        Chain(error).to_string()
    }

    #[test]
    fn causes_follow_and_nothing_is_said_twice() {
        static REFUSED: Layer = Layer("connection refused", None);
        static CONNECT: Layer = Layer("connect: connection refused", Some(&REFUSED));
        static REQUEST: Layer = Layer("request failed", Some(&CONNECT));
        assert_eq!(line(&REQUEST), "request failed: connect: connection refused");
        assert_eq!(line(&REFUSED), "connection refused");
    }

    #[test]
    fn an_error_that_is_its_own_cause_ends() {
        static TURN: Layer = Layer("turn", Some(&RETURN));
        static RETURN: Layer = Layer("return", Some(&TURN));
        assert_eq!(line(&TURN), "turn: return");
    }
}
