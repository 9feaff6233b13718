//! The attributes that a body may have, as a tree of names.
//!
//! An attribute is told by the names that lead to it; arrays on the way are left out, so that
//! `data.policies.amount` stands for the amount of every policy. Where a schema has alternatives,
//! the attributes of all of them are in the tree.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    name_table::NameTable,
    schema::{Combination, SchemaId, Schemas},
};

/// All attributes of one body.
#[derive(Debug)]
pub struct AttributeTree {
    /// The root first; every other node after its parent.
    nodes: Vec<AttributeNode>,
    by_path: HashMap<Arc<str>, usize>,
}

/// One attribute.
#[derive(Debug)]
pub struct AttributeNode {
    /// Names that lead to it, joined by dots; empty for the root.
    pub path: Arc<str>,
    /// Whether it must be there whenever its parent is.
    pub presence: Presence,
    /// Position of its parent; the root is its own.
    pub parent: usize,
    names: NameTable,
    /// Positions of its children, in the order of their names.
    children: Box<[usize]>,
}

/// Whether an attribute must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// Always.
    Required,
    /// Not at all.
    Optional,
    /// It belongs to one of several alternatives: its absence alone says nothing.
    Alternative,
}

impl AttributeTree {
    /// The attributes that bodies of a schema may have.
    #[must_use]
    pub fn new(schemas: &Schemas, root: SchemaId) -> Self {
        let mut tree = Self { nodes: Vec::new(), by_path: HashMap::new() };
        tree.nodes.push(AttributeNode {
            path: "".into(),
            presence: Presence::Required,
            parent: 0,
            names: NameTable::default(),
            children: Box::default(),
        });
        tree.by_path.insert("".into(), 0);
        let mut pending = vec![(0, vec![root], 0)];
        while let Some((node, sources, depth)) = pending.pop() {
            let mut found = Found::default();
            for source in sources {
                found.gather(schemas, source, false, 0);
            }
            let mut names: Vec<(Arc<str>, FoundAttribute)> = found.attributes.into_iter().collect();
            names.sort_unstable_by(|one, two| one.0.cmp(&two.0));
            names.truncate(MAX_ATTRIBUTES.saturating_sub(tree.nodes.len()));
            let mut children = Vec::with_capacity(names.len());
            for (name, attribute) in &names {
                let position = tree.nodes.len();
                let path: Arc<str> = match tree.nodes.get(node) {
                    Some(parent) if !parent.path.is_empty() => {
                        format!("{}.{name}", parent.path).into()
                    }
                    _ => Arc::clone(name),
                };
                tree.by_path.insert(Arc::clone(&path), position);
                tree.nodes.push(AttributeNode {
                    path,
                    presence: attribute.presence,
                    parent: node,
                    names: NameTable::default(),
                    children: Box::default(),
                });
                children.push(position);
                if depth < MAX_DEPTH {
                    pending.push((position, attribute.schemas.clone(), depth + 1));
                }
            }
            if let Some(node) = tree.nodes.get_mut(node) {
                node.names = NameTable::new(names.into_iter().map(|(name, _)| name));
                node.children = children.into();
            }
        }
        tree
    }

    /// All attributes; the root first, every other after its parent.
    #[must_use]
    pub fn nodes(&self) -> &[AttributeNode] {
        &self.nodes
    }

    /// The position of a child of an attribute, by the name of a received member.
    #[must_use]
    pub fn child(&self, node: usize, name: &str, hash: u32) -> Option<usize> {
        let node = self.nodes.get(node)?;
        node.children.get(node.names.position(name, hash)?).copied()
    }

    /// Positions of the children of an attribute.
    #[must_use]
    pub fn children(&self, node: usize) -> &[usize] {
        self.nodes.get(node).map(|node| &*node.children).unwrap_or_default()
    }

    /// The position of an attribute by its path.
    #[must_use]
    pub fn position(&self, path: &str) -> Option<usize> {
        self.by_path.get(path).copied()
    }
}

impl Presence {
    /// Its name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
            Self::Alternative => "alternative",
        }
    }
}

/// Attributes of one level, gathered from all schemas that describe it.
#[derive(Default)]
struct Found {
    /// Schemas that were gathered, and whether as an alternative: one may be a part of itself.
    seen: HashSet<(SchemaId, bool)>,
    attributes: HashMap<Arc<str>, FoundAttribute>,
}

struct FoundAttribute {
    presence: Presence,
    schemas: Vec<SchemaId>,
}

impl Found {
    fn gather(&mut self, schemas: &Schemas, id: SchemaId, alternative: bool, depth: usize) {
        if depth > MAX_NESTING || !self.seen.insert((id, alternative)) {
            return;
        }
        let schema = schemas.schema(id);
        let mut inner =
            |id: SchemaId, alternative| self.gather(schemas, id, alternative, depth + 1);
        schema.alias.iter().chain(schema.all_of()).for_each(|part| inner(*part, alternative));
        if let Some(Combination { any_of, one_of, .. }) = schema.combination.as_deref() {
            any_of.iter().chain(one_of).for_each(|part| inner(*part, true));
        }
        if let Some(items) = schema.array.as_ref().and_then(|rules| rules.items) {
            inner(items, alternative);
        }
        let Some(object) = &schema.object else { return };
        for (name, property) in object.names.iter().zip(&object.properties) {
            let presence = match (alternative, property.required) {
                (true, _) => Presence::Alternative,
                (false, true) => Presence::Required,
                (false, false) => Presence::Optional,
            };
            let known = self
                .attributes
                .entry(Arc::clone(name))
                .or_insert(FoundAttribute { presence, schemas: Vec::new() });
            // The strictest word counts: what one part requires, all of them together require.
            known.presence = known.presence.min(presence);
            if !known.schemas.contains(&property.schema) {
                known.schemas.push(property.schema);
            }
        }
    }
}

/// The largest published body has 885.
const MAX_ATTRIBUTES: usize = 4_096;

/// Levels of names; published bodies have 29 at most.
const MAX_DEPTH: usize = 64;

/// Parts in parts of one level.
const MAX_NESTING: usize = 64;
