//! The gateway: HTTP in and out, configuration, the life of a request.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | what the file, the environment and the command line say, checked |
//! | `credentials` | keys and accounts while the gateway runs |
//! | `listen` | connections, their limits, graceful shutdown, another process in this one's place |
//! | `router` | every route |
//! | `admin` | the admin API |
//! | `ui` | the admin page |
//! | `docs`, `guide` | the API and the book for people with a browser |
//! | [`identity`] | who may do what there, and how they show who they are |
//! | `ingress` | from HTTP to the relay |
//! | `gate` | places for a number of requests at once |
//! | [`explain`] | what would happen to a request |
//! | `ledger` | limits before a request, a journal during it, a settlement after it |
//! | `relay` | the life of a request |
//! | `served` | servers on this machine that are started when they are asked for |
//! | `persist` | what was counted and what rests goes into the store |
//! | `archive` | what is kept between requests goes into the store and comes back |
//! | `recorder` | what is said, kept in a file for `polyport replay` |
//! | `registry` | what the database declares, and its changes |
//! | `state` | what is kept between requests |
//! | `observe` | records and figures |

mod admin;
mod app;
mod archive;
mod body;
mod clock;
pub mod config;
mod credentials;
mod directory;
mod docs;
mod error;
pub mod explain;
mod gate;
mod guide;
mod id;
pub mod identity;
mod ingress;
mod ledger;
mod listen;
mod notifications;
mod observe;
mod persist;
mod recorder;
mod registry;
mod relay;
mod router;
mod served;
mod state;
mod tasks;
mod ui;

/// What every request looks into, by names of the operator: hashed fast, with a seed of the process.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

pub use app::SetupError;
pub use clock::now;
pub use credentials::fleet;
pub use listen::{
    Before, Elder, End, HandOverError, Handle, ServeError, Server, Sockets, Successor, Workbench, notify, serve,
    socket_of, url_of,
};
pub use recorder::Recorder;
