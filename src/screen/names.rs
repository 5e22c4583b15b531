//! Interned names: plates, lines, drugs and batches are numbers inside and text at the edges.

use std::collections::HashMap;

/// The number of a name within its [`Names`].
pub type NameId = u32;

/// Distinct names in the order in which they first appeared.
#[derive(Debug, Default, Clone)]
pub struct Names {
    names: Vec<String>,
    ids: HashMap<String, NameId>,
}

impl Names {
    /// The id of `name`, given one if it has none yet.
    pub fn intern(&mut self, name: &str) -> NameId {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let id = self.names.len() as NameId;
        self.names.push(name.to_owned());
        self.ids.insert(name.to_owned(), id);
        id
    }

    /// The id of `name`, if it has one.
    pub fn id(&self, name: &str) -> Option<NameId> {
        self.ids.get(name).copied()
    }

    /// The id of the only name that equals `name` when case is ignored.
    pub fn id_ignoring_case(&self, name: &str) -> Option<NameId> {
        self.id(name).or_else(|| {
            let mut found = self.names.iter().enumerate().filter(|(_, n)| n.eq_ignore_ascii_case(name));
            match (found.next(), found.next()) {
                (Some((id, _)), None) => Some(id as NameId),
                _ => None,
            }
        })
    }

    /// The name with this id; the empty text for an id that was never given.
    pub fn name(&self, id: NameId) -> &str {
        self.names.get(id as usize).map_or("", String::as_str)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no name yet.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Names in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}
