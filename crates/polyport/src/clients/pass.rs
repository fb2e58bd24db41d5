//! The key that a client is given.

use anyhow::Result;
use jiff::Timestamp;
use serde_json::Value;

use super::probe::{Said, models};
use crate::gateway::{Gateway, Refused, escaped, object};

/// What a client is given where no key is needed.
const OPEN: &str = "polyport";

/// What a new key may do, and for how long.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) models: Vec<String>,
    pub(crate) protocols: Vec<String>,
    /// In milliseconds since 1970.
    pub(crate) expires_at: Option<i64>,
}

/// A key, and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    pub(crate) key: String,
    /// Id and name of the key, if it was made here.
    pub(crate) made: Option<(String, String)>,
}

impl Pass {
    /// A key that was given.
    pub(crate) fn of(key: &str) -> Self {
        Self { key: key.to_owned(), made: None }
    }

    /// Where no key is needed.
    pub(crate) fn open() -> Self {
        Self::of(OPEN)
    }

    /// Makes one. If the name is taken, the time is added to it.
    ///
    /// # Errors
    /// The gateway refuses it.
    pub(crate) async fn make(gateway: &Gateway, name: &str, bounds: &Bounds) -> Result<Self> {
        let list = |names: &[String]| (!names.is_empty()).then(|| names.to_vec().into());
        let body = |name: &str| -> Value {
            object([
                ("name", Some(name.into())),
                ("models", list(&bounds.models)),
                ("protocols", list(&bounds.protocols)),
                ("expires_at", bounds.expires_at.map(Value::from)),
            ])
            .into()
        };
        let made = match gateway.post("keys", &body(name)).await {
            Err(error) if error.downcast_ref::<Refused>().is_some_and(|refused| refused.code() == "taken") => {
                gateway.post("keys", &body(&format!("{name}-{}", stamp()))).await?
            }
            made => made?,
        };
        let text = |member: &str| made[member].as_str().unwrap_or_default().to_owned();
        Ok(Self { key: text("key"), made: Some((text("id"), text("name"))) })
    }

    /// Deletes the key again, if it was made here.
    ///
    /// # Errors
    /// The gateway went away.
    pub(crate) async fn end(&self, gateway: &Gateway) -> Result<()> {
        if let Some((id, _)) = &self.made {
            gateway.call(http::Method::DELETE, &format!("keys/{}", escaped(id)), None).await?;
        }
        Ok(())
    }
}

/// The time, as it stands in names.
pub(crate) fn stamp() -> String {
    Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string()
}

/// Whether clients need no key at the gateway that runs at this address.
///
/// # Errors
/// Nobody answers there.
pub(crate) async fn is_open(url: &str) -> Result<bool> {
    Ok(matches!(models(url, None).await?, Said::Models(_)))
}
