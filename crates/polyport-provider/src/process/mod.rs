//! Programs on this machine: run for one request, or as a server that others are forwarded to.
//!
//! | module | what |
//! |---|---|
//! | [`template`] | templates of the operator |
//! | [`command`] | what is run: a program and a list of arguments, never a shell |
//! | [`run`] | a program that runs, its pipes and its end |
//! | [`group`] | programs and what they start, as groups that end together |
//! | [`guard`] | a process in between that outlives Polyport's own sudden end |
//! | [`output`] | the text of an answer out of what a program writes |
//! | [`answer`] | a run as the body of an answer |

pub mod answer;
pub mod command;
pub mod group;
#[cfg(target_os = "linux")]
pub mod guard;
pub mod output;
pub mod run;
pub mod template;

pub use command::{Argument, Command, CommandError, Input, Launch};
pub use group::guard_with;
pub use output::{Format, Output};
pub use run::{Did, Run, Starter, Task};
pub use template::{Template, TemplateError};
