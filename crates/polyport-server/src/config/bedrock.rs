//! Where AWS Bedrock is.

use url::Url;

use super::check::Context;
use super::file;
use super::preset::Preset;
use super::services::{self, Defaults, child};
use super::tree::Step;

/// The region of those who say none.
const USUAL_REGION: &str = "us-east-1";

/// The names of its addresses; the second is for those who need certified cryptography.
const NAMES: [&str; 2] = ["bedrock-runtime", "bedrock-runtime-fips"];

/// The address of the runtime in a region, unless the operator gives another.
pub(super) fn address(
    name: &str,
    given: &file::Provider,
    preset: Option<&Preset>,
    at: &[Step],
    defaults: &Defaults,
    context: &mut Context<'_>,
) -> Option<String> {
    let known =
        |region: &str| !region.is_empty() && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if given.location.as_deref().is_some_and(|region| !known(region)) {
        context.error(&child(at, "location"), "this is no region", "write it like `eu-central-1`");
        return None;
    }
    if given.base_url.is_some() {
        return services::base_url(name, given, preset, at, defaults, context);
    }
    let region = region(given, "", context);
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    Some(format!("https://{}.{region}.{domain}", NAMES[0]))
}

/// The region that requests are signed for: the one that is set, the one in the address, or that of the environment.
pub(super) fn region(given: &file::Provider, address: &str, context: &Context<'_>) -> String {
    let variable = || ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| context.environment.get(name));
    let of_address = || {
        let host = Url::parse(address).ok()?.host_str()?.to_owned();
        let mut words = host.split('.');
        NAMES.contains(&words.next()?).then(|| words.next().map(str::to_owned)).flatten()
    };
    let set = given.location.clone().or_else(of_address);
    set.or_else(|| variable().map(str::to_owned)).unwrap_or_else(|| USUAL_REGION.to_owned())
}
