//! The clients that can be started and set up, on this machine: their files, their programs and the keys they get. What each needs is known to
//! [`polyport_clients`].

mod file;
mod overlay;
mod pass;
mod place;
mod probe;

pub(crate) use polyport_clients::{Client, Fill, all, edit, find};
use polyport_clients::{OverlayRule, Settings, When};

pub(crate) use file::{Written, key_in, undo, write};
pub(crate) use overlay::Overlaid;
pub(crate) use pass::{Bounds, Pass, is_open, stamp};
pub(crate) use place::Home;
pub(crate) use probe::{Said, models};
