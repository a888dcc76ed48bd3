//! Digests of a config's tables, by which an edited job or sink is told from one that is as it was.
//!
//! They hold what references yield, so that a secret that was rotated is an edit, but show none of it.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::config::reader::Section;
use crate::config::secrets::{Raw, Resolver, split};
use crate::core::names::Digest;

/// The digests of all jobs and sinks by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prints {
    /// Of each job's table and its vendor's.
    pub jobs: BTreeMap<String, Digest>,
    /// Of each sink's table.
    pub sinks: BTreeMap<String, Digest>,
}

/// Adds tables up to one digest.
pub(crate) struct Printer<'r, 'e> {
    resolver: &'r mut Resolver<'e>,
    hasher: blake3::Hasher,
}

impl<'r, 'e> Printer<'r, 'e> {
    pub(crate) fn new(resolver: &'r mut Resolver<'e>) -> Self {
        Self { resolver, hasher: blake3::Hasher::new() }
    }

    /// Adds a table.
    #[must_use]
    pub(crate) fn with(mut self, section: Option<&Section<'_>>) -> Self {
        if let Some(section) = section {
            self.table(section.table, section.file.path().parent().unwrap_or_else(|| Path::new("")));
        }
        self
    }

    pub(crate) fn finish(self) -> Digest {
        Digest::from_hash(self.hasher.finalize())
    }

    fn table(&mut self, table: &DeTable<'_>, folder: &Path) {
        self.number(b'{', table.len());
        for (name, value) in table {
            self.text(b'k', name.get_ref());
            self.value(value.get_ref(), folder);
        }
    }

    fn value(&mut self, value: &DeValue<'_>, folder: &Path) {
        match value {
            DeValue::Table(table) => self.table(table, folder),
            DeValue::Array(list) => {
                self.number(b'[', list.len());
                list.iter().for_each(|value| self.value(value.get_ref(), folder));
            }
            DeValue::String(text) => {
                self.text(b's', text);
                for piece in split(text) {
                    if let Raw::Reference(reference) = piece
                        && let Ok(secret) = self.resolver.resolve(reference, folder)
                    {
                        self.text(b'r', secret.expose());
                    }
                }
            }
            DeValue::Integer(number) => self.text(b'i', &format!("{number:?}")),
            DeValue::Float(number) => self.text(b'f', &format!("{number:?}")),
            DeValue::Boolean(truth) => self.number(b'b', usize::from(*truth)),
            DeValue::Datetime(moment) => self.text(b'd', &moment.to_string()),
        }
    }

    fn text(&mut self, kind: u8, text: &str) {
        self.number(kind, text.len());
        self.hasher.update(text.as_bytes());
    }

    fn number(&mut self, kind: u8, number: usize) {
        self.hasher.update(&[kind]);
        self.hasher.update(&(number as u64).to_le_bytes());
    }
}
