//! The configuration of other gateways, read into a [`Plan`] in the words of Polyport's own.
//!
//! | module | what |
//! |---|---|
//! | `material`, `parse` | what was given, and texts made into values |
//! | `format` | which gateways are known, and what their files are known by |
//! | `source`, `finding` | a reader that notes what became of every value of the source |
//! | `plan`, `draft` | what would be made, and how importers write it down |
//! | `services`, `names`, `variables` | addresses of known services, names that fit, variables of the environment |
//! | `formats` | an importer per gateway |
//!
//! Nothing here opens a file or reads the environment: what there is to read comes in as [`Material`], and values of variables are asked of the
//! caller when a plan is carried out ([`Plan::document`]). No value of the source is lost in silence: what no importer takes is named in
//! [`Plan::findings`].

mod draft;
mod finding;
mod format;
mod formats;
mod material;
mod names;
mod parse;
mod plan;
mod services;
mod source;
mod variables;

pub use finding::{Finding, Grade};
pub use format::{Format, Unrecognised, recognise};
pub use material::{Database, Material, SourceFile};
pub use plan::{Carried, Plan};

use draft::Draft;
use source::Source;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It belongs to no known gateway, or to several.
    #[error(transparent)]
    Unrecognised(#[from] Unrecognised),
    /// A file cannot be read as what it is.
    #[error("{file}: {message}")]
    Broken {
        /// Its name.
        file: String,
        /// What is wrong with it.
        message: String,
    },
    /// Nothing in it can be taken over.
    #[error("this looks like the configuration of {}, but nothing in it can be taken over", .0.title())]
    Nothing(Format),
}

/// Reads what was given, as the format it is recognised by or as this one.
///
/// # Errors
/// [`Refused`]; nothing of the source is in its words but names of files and keys.
pub fn read(material: &Material, format: Option<Format>) -> Result<Plan, Refused> {
    let documents = material.documents()?;
    let format = match format {
        Some(format) => format,
        None => format::of(&documents)?,
    };
    let source = Source::new(documents);
    let mut draft = Draft::new(format, &source, material.now);
    formats::read(format, &source, &mut draft);
    let plan = draft.finish();
    if plan.is_empty() {
        return Err(Refused::Nothing(format));
    }
    Ok(plan)
}

/// The gateways that a file belongs to without doubt; none for a file that only goes with others, such as `.env`.
///
/// # Errors
/// [`Refused::Broken`] if it cannot be read.
pub fn signs(file: &SourceFile) -> Result<Vec<Format>, Refused> {
    let material = Material { files: vec![file.clone()], ..Material::default() };
    Ok(format::signs(&material.documents()?))
}

/// Whether a table of a foreign database is worth reading: logs and statistics stay behind.
#[must_use]
pub fn wants_table(name: &str, columns: &[String]) -> bool {
    formats::wants_table(name, columns)
}
