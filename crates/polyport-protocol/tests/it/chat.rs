//! The Chat codec.

mod request;

use polyport_testkit::shared::{self, Record};

/// The recordings of `OpenAI` and of the servers that imitate it.
const FILES: [&str; 2] = ["openai-chat.jsonl", "openai-compatible.jsonl"];

/// Every recorded exchange of this protocol; none, and a word about it, where the reference folder is absent.
fn records(test: &str) -> Vec<Record> {
    FILES.iter().filter_map(|file| shared::records_or_skip(test, file)).flat_map(|list| list.to_vec()).collect()
}
