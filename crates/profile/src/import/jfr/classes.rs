//! What a chunk says of its own classes: a tree of elements, of which classes and their fields are read.
//!
//! ```text
//! root ─ metadata ─ class(id, name) ─ field(name, class, constantPool, dimension)
//! ```

use std::borrow::Cow;

use hashbrown::HashMap;

use super::METADATA;
use super::cursor::{Cursor, Text};
use crate::import::Fault;
use crate::limits::{Limits, at_most};

/// Classes that a chunk may describe. 64 Ki: a JVM has some 250, and each event that an application defines is one.
const CLASSES_MAX: u64 = 64 << 10;

/// Fields of all classes of a chunk: sixteen for each. The JVM's have five on average.
const FIELDS_MAX: u64 = 16 * CLASSES_MAX;

/// How deep elements may lie. The JVM's lie five deep: root, metadata, class, field, annotation.
const ELEMENTS_DEPTH_MAX: u64 = 32;

/// A field of a class.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) name: Cow<'a, [u8]>,
    /// The id of its class.
    pub(super) class: i64,
    /// Whether there is the index of a constant instead of a value.
    pub(super) is_constant: bool,
    /// Whether there are any number of them.
    pub(super) is_list: bool,
}

/// A class: that of an event, of a constant, of a part of one, or a primitive.
#[derive(Debug)]
pub(super) struct Class<'a> {
    pub(super) name: Cow<'a, [u8]>,
    pub(super) fields: Vec<Field<'a>>,
}

/// The classes of a chunk by id.
#[derive(Debug, Default)]
pub(super) struct Classes<'a> {
    by_id: HashMap<i64, Class<'a>>,
    fields: u64,
}

/// What an element says.
#[derive(Debug, Default)]
struct Element<'a> {
    /// What it is: "class", "field".
    kind: Cow<'a, [u8]>,
    name: Cow<'a, [u8]>,
    id: Option<i64>,
    class: Option<i64>,
    is_constant: bool,
    is_list: bool,
}

/// An element whose children are being read.
struct Open {
    /// The id of the class that it is.
    class: Option<i64>,
    /// How many children are still to come.
    children: usize,
}

impl<'a> Classes<'a> {
    /// Reads the event that describes them; `cursor` stands at its beginning.
    pub(super) fn read(mut cursor: Cursor<'a>, limits: &Limits) -> Result<Self, Fault> {
        let _size = cursor.number(4)?;
        if cursor.number(8)? != METADATA {
            return Err(Fault::Bad("no description of classes is where the header says"));
        }
        let (_start, _duration, _id) = (cursor.number(8)?, cursor.number(8)?, cursor.number(8)?);
        let strings = strings(&mut cursor, limits)?;
        let mut classes = Self::default();
        let mut open: Vec<Open> = Vec::new();
        loop {
            let element = Element::read(&mut cursor, &strings)?;
            let class = classes.take(element, open.last().and_then(|open| open.class))?;
            at_most(open.len() as u64 + 1, ELEMENTS_DEPTH_MAX, "levels of elements")?;
            let children = cursor.count()?;
            open.push(Open { class, children });
            while open.last().is_some_and(|open| open.children == 0) {
                open.pop();
            }
            match open.last_mut() {
                Some(open) => open.children -= 1,
                None => return Ok(classes),
            }
        }
    }

    /// The class with this id.
    pub(super) fn get(&self, id: i64) -> Option<&Class<'a>> {
        self.by_id.get(&id)
    }

    /// All of them, with their ids, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &Class<'a>)> {
        self.by_id.iter().map(|(id, class)| (*id, class))
    }

    /// Keeps what an element says that lies in a class or in none; gives the id if it is a class itself.
    fn take(&mut self, element: Element<'a>, inside: Option<i64>) -> Result<Option<i64>, Fault> {
        let absent = Fault::Bad("a class or field does not say which");
        match (element.kind.as_ref(), inside) {
            (b"class", _) => {
                at_most(self.by_id.len() as u64 + 1, CLASSES_MAX, "classes")?;
                let id = element.id.ok_or(absent)?;
                let class = Class {
                    name: element.name,
                    fields: Vec::new(),
                };
                self.by_id.insert(id, class);
                Ok(Some(id))
            }
            (b"field", Some(id)) => {
                at_most(self.fields + 1, FIELDS_MAX, "fields of classes")?;
                self.fields += 1;
                let field = Field {
                    name: element.name,
                    class: element.class.ok_or(absent)?,
                    is_constant: element.is_constant,
                    is_list: element.is_list,
                };
                if let Some(class) = self.by_id.get_mut(&id) {
                    class.fields.push(field);
                }
                Ok(None)
            }
            // Annotations, settings, regions.
            _ => Ok(None),
        }
    }
}

fn strings<'a>(cursor: &mut Cursor<'a>, limits: &Limits) -> Result<Vec<Cow<'a, [u8]>>, Fault> {
    let count = cursor.count()?;
    at_most(count as u64, limits.strings_max, "strings")?;
    let string = |_| match cursor.text()? {
        Text::Here(text) => Ok(text),
        Text::Constant(_) => Err(Fault::Bad("a name of a class is a constant")),
    };
    (0..count).map(string).collect()
}

impl<'a> Element<'a> {
    /// Reads all but its children.
    fn read(cursor: &mut Cursor<'a>, strings: &[Cow<'a, [u8]>]) -> Result<Self, Fault> {
        let string = |cursor: &mut Cursor<'a>| {
            let index = usize::try_from(cursor.number(4)?).ok();
            let string = index.and_then(|index| strings.get(index));
            string.ok_or(Fault::Bad("an element refers to a string that is not there"))
        };
        let mut element = Self {
            kind: string(cursor)?.clone(),
            ..Self::default()
        };
        for _ in 0..cursor.count()? {
            let (key, value) = (string(cursor)?, string(cursor)?);
            let number = || std::str::from_utf8(value).ok()?.parse().ok();
            match key.as_ref() {
                b"name" => element.name = value.clone(),
                b"id" => element.id = number(),
                b"class" => element.class = number(),
                b"constantPool" => element.is_constant = value.as_ref() == b"true",
                b"dimension" => element.is_list = value.as_ref() != b"0",
                _ => {}
            }
        }
        Ok(element)
    }
}
