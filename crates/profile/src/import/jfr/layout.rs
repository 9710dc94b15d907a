//! How values of a class lie in a recording.
//!
//! A class is made flat once: a list of steps, each of which takes at least a byte of what is read, so that no chunk can make
//! its reader work for more than its bytes. Classes may contain each other, and a hostile chunk makes them do so in a circle,
//! or doubles them level by level; both end at a limit here, and reading needs no recursion.

use super::classes::Classes;
use super::cursor::{Cursor, Text};
use crate::import::Fault;
use crate::limits::{LimitExceeded, at_most};

/// How deep classes may contain each other without constants. The JVM's do so two deep: a stack trace has frames.
const DEPTH_MAX: u64 = 16;

/// One step of reading.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// So many bytes.
    Bytes(usize),
    /// A number that has so many bytes where numbers are plain.
    Number(usize),
    Text,
    /// A count, and that many elements, whose last step is before this one.
    List {
        end: usize,
    },
    /// The end of an element of the list that begins at this step.
    ListEnd {
        begin: usize,
    },
}

/// What a step reads for: an index into the fields that were wanted.
type Slot = Option<usize>;

/// A class made flat.
#[derive(Debug)]
pub(super) struct Layout {
    steps: Vec<(Step, Slot)>,
}

/// What is found in a wanted field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(i64),
    Text(Text<'a>),
    /// Another element of a list begins.
    Element,
}

/// A class that is being made flat.
struct Part {
    class: i64,
    /// Index of its next field.
    next: usize,
    /// The path of its fields, where one below it is wanted.
    path: Option<String>,
    /// The step at which the list began that it is an element of.
    list: Option<usize>,
}

impl Layout {
    /// The layout of a class. Fields are wanted by their path, as "frames.method"; their index is that in `wanted`.
    ///
    /// Each field that is looked at is taken off `fields_left`.
    pub(super) fn of(class: i64, classes: &Classes<'_>, wanted: &[&str], fields_left: &mut u64) -> Result<Self, Fault> {
        let mut steps = Vec::new();
        if let Some(step) = primitive(class, classes) {
            steps.push((step, wanted.iter().position(|path| path.is_empty())));
            return Ok(Self { steps });
        }
        let mut open = vec![Part {
            class,
            next: 0,
            path: Some(String::new()),
            list: None,
        }];
        while let Some(part) = open.last_mut() {
            *fields_left = fields_left.checked_sub(1).ok_or(TOO_MANY_FIELDS)?;
            let described = classes.get(part.class).ok_or(NOT_DESCRIBED)?;
            let Some(field) = described.fields.get(part.next) else {
                let list = part.list;
                open.pop();
                if let Some(begin) = list {
                    end_list(&mut steps, begin);
                }
                continue;
            };
            part.next += 1;
            let path = part.path.as_ref().and_then(|above| below(above, &field.name, wanted));
            let slot = path
                .as_ref()
                .and_then(|path| wanted.iter().position(|wanted| wanted == path));
            let list = field.is_list.then_some(steps.len());
            if field.is_list {
                steps.push((Step::List { end: 0 }, slot));
            }
            let primitive = if field.is_constant {
                Some(Step::Number(8))
            } else {
                primitive(field.class, classes)
            };
            match (primitive, list) {
                (Some(step), None) => steps.push((step, slot)),
                (Some(step), Some(begin)) => {
                    steps.push((step, slot));
                    end_list(&mut steps, begin);
                }
                (None, list) => {
                    at_most(open.len() as u64 + 1, DEPTH_MAX, "levels of classes")?;
                    open.push(Part {
                        class: field.class,
                        next: 0,
                        path,
                        list,
                    });
                }
            }
        }
        Ok(Self { steps })
    }

    /// Reads a value, and hands over what was wanted of it.
    pub(super) fn read<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        mut found: impl FnMut(usize, Value<'a>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut at = 0;
        // How many elements of each open list are left; no deeper than classes contain each other.
        let mut lists: Vec<usize> = Vec::new();
        while let Some((step, slot)) = self.steps.get(at).copied() {
            at += 1;
            let value = match step {
                Step::Bytes(count) => {
                    let bytes = cursor.take(count)?;
                    // A truth, a byte. Nobody wants what is broken into a fraction.
                    Some(Value::Number(bytes.first().copied().map_or(0, i64::from)))
                }
                Step::Number(width) => Some(Value::Number(cursor.number(width)?)),
                Step::Text if slot.is_none() => {
                    cursor.skip_text()?;
                    None
                }
                Step::Text => Some(Value::Text(cursor.text()?)),
                Step::List { end } => match cursor.count()? {
                    0 => {
                        at = end;
                        None
                    }
                    count => {
                        lists.push(count);
                        Some(Value::Element)
                    }
                },
                Step::ListEnd { begin } => {
                    let left = lists.pop().unwrap_or(0).saturating_sub(1);
                    if left > 0 {
                        lists.push(left);
                        at = begin + 1;
                        self.steps
                            .get(begin)
                            .and_then(|(_, slot)| *slot)
                            .map_or(Ok(()), |slot| found(slot, Value::Element))?;
                    }
                    None
                }
            };
            if let (Some(slot), Some(value)) = (slot, value) {
                found(slot, value)?;
            }
        }
        Ok(())
    }
}

const NOT_DESCRIBED: Fault = Fault::Bad("a class is used that is not described");

/// One step for each byte of a recording would already be too many.
const TOO_MANY_FIELDS: Fault = Fault::Limit(LimitExceeded {
    name: "fields of classes in classes",
    limit: FIELDS_PER_BYTE,
});

/// Fields that are looked at for each byte of a recording. A field that is described takes at least nine bytes, and is
/// looked at for the few classes that are read and those that contain it.
pub(super) const FIELDS_PER_BYTE: u64 = 1;

/// The path of a field if something wanted lies at it or below it.
fn below(above: &str, name: &[u8], wanted: &[&str]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let is_wanted = |path: &&str| {
        let rest = path.strip_prefix(above)?;
        let rest = if above.is_empty() {
            rest
        } else {
            rest.strip_prefix('.')?
        };
        let rest = rest.strip_prefix(name)?;
        (rest.is_empty() || rest.starts_with('.')).then_some(())
    };
    let path = if above.is_empty() {
        name.to_owned()
    } else {
        format!("{above}.{name}")
    };
    wanted.iter().any(|path| is_wanted(path).is_some()).then_some(path)
}

/// Ends the list that began at a step. Elements without a byte are nothing but their count.
fn end_list(steps: &mut Vec<(Step, Slot)>, begin: usize) {
    let is_empty = steps.len() == begin + 1;
    if !is_empty {
        steps.push((Step::ListEnd { begin }, None));
    }
    let end = steps.len();
    if let Some((step, slot)) = steps.get_mut(begin) {
        if is_empty {
            *slot = None;
        }
        *step = if is_empty { Step::Number(4) } else { Step::List { end } };
    }
}

/// How a class without fields lies, if it is one of those that the format knows.
fn primitive(class: i64, classes: &Classes<'_>) -> Option<Step> {
    Some(match classes.get(class)?.name.as_ref() {
        b"boolean" | b"byte" => Step::Bytes(1),
        b"char" | b"short" => Step::Number(2),
        b"int" => Step::Number(4),
        b"long" => Step::Number(8),
        b"float" => Step::Bytes(4),
        b"double" => Step::Bytes(8),
        b"java.lang.String" => Step::Text,
        _ => return None,
    })
}
