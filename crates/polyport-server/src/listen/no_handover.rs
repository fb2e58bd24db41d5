//! Here no process takes the place of another.

use polyport_store::Turn;

/// There is none.
#[derive(Debug)]
pub enum Elder {}

impl Elder {
    #[must_use]
    pub fn turn(&self) -> Turn {
        match *self {}
    }

    pub fn refuse(self, _: &str) {
        match self {}
    }

    pub(crate) fn ready(&mut self) -> std::io::Result<()> {
        match *self {}
    }

    pub(crate) async fn gone(self) {
        match self {}
    }
}

/// There is none.
#[derive(Debug)]
pub enum Successor {}

impl Successor {
    #[must_use]
    pub fn process(&self) -> u32 {
        match *self {}
    }
}

/// It is not known here how that is done.
#[derive(Debug)]
pub enum HandOverError {}
