//! What became of the values of a source.

use serde_json::{Value, json};

/// How well something is carried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// It means the same here.
    Exact,
    /// It means nearly the same; the finding says where it differs.
    Approximate,
    /// Somebody has to do something; the finding says what.
    Manual,
    /// There is nothing like it here.
    Unsupported,
}

impl Grade {
    /// All of them, the best first.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Approximate, Self::Manual, Self::Unsupported];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Approximate => "approximate",
            Self::Manual => "manual",
            Self::Unsupported => "unsupported",
        }
    }
}

/// What became of one value of the source, or of several that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file or database.
    pub file: String,
    /// Where in it: `model_list[2].litellm_params.model`. Of several values `[]` stands for all their numbers.
    pub path: String,
    /// How well it is carried over.
    pub grade: Grade,
    /// What it became: `pools.fast`. Empty if nothing did.
    pub became: String,
    /// Where it differs, or what there is to do.
    pub note: String,
    /// How many values are meant.
    pub count: usize,
}

impl Finding {
    /// For programs.
    #[must_use]
    pub fn as_json(&self) -> Value {
        json!({
            "file": self.file, "path": self.path, "grade": self.grade.as_str(), "became": self.became, "note": self.note,
            "count": self.count,
        })
    }
}
