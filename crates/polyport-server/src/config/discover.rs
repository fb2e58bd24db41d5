//! Local model servers on their usual ports.

use polyport_types::Text;

use super::preset::Preset;

/// A local server that answered.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is.
    pub preset: &'static Preset,
    /// Its address, with the version.
    pub base_url: String,
    /// Models it offers.
    pub models: Vec<Text>,
}
