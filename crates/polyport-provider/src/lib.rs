//! Talking to providers.
//!
//! | module | what |
//! |---|---|
//! | [`endpoint`] | addresses of calls, how credentials are written, fixed headers |
//! | [`auth`] | OAuth accounts: tokens that expire and are refreshed |
//! | [`http`] | the only HTTP client: TLS, proxies, pooling |
//! | [`body`] | bodies of answers, decompressed |
//! | [`outgoing`] | bodies of requests |
//! | [`reach`] | which addresses may be connected to |
//! | [`process`] | programs on this machine |
//! | [`echo`] | the built-in model that answers without any network |

pub mod auth;
pub mod body;
pub mod echo;
pub mod endpoint;
pub mod http;
pub mod outgoing;
pub mod process;
pub mod reach;

pub use body::{BodyError, ProviderBody, Watch};
pub use endpoint::{Adapter, AuthHeader, AuthStyle, Call, Endpoint, EndpointError};
pub use http::{Client, ClientError, ClientSettings, ProviderRequest, ProviderResponse, ProxySettings, SendError};
pub use outgoing::RequestBody;
pub use reach::{Network, Reach};
