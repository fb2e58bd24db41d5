//! What the shipped table says that models cost.

use polyport_accounting::decimal::Decimal;
use polyport_accounting::{PerClass, Price, Section, Table};
use serde_json::{Map, Value, json};

/// Every row, by service and model.
pub(super) fn all() -> Vec<Value> {
    let table = Table::shipped();
    let rows = table.hosts().flat_map(|host| table.models(host).map(move |model| (host, model)));
    rows.filter_map(|(host, model)| Some(shown(host, model, &table.find(host, model)?))).collect()
}

fn shown(host: &str, model: &str, price: &Price) -> Value {
    let section = |section: &Section| json!({ "tier": section.tier.as_str(), "above": section.above, "rates": rates(&section.rates) });
    json!({
        "id": format!("{host}/{model}"), "provider": host, "model": model,
        "currency": price.currency.as_str(), "date": price.date, "source": price.source, "varies": price.varies,
        "sections": price.sections().iter().map(section).collect::<Vec<_>>(),
    })
}

/// As price lists write them.
fn rates(rates: &PerClass<Option<Decimal>>) -> Map<String, Value> {
    let known = rates.iter().filter_map(|(class, rate)| Some((class, rate?.times(class.priced_per())?)));
    known.map(|(class, rate)| (class.as_str().to_owned(), rate.to_string().into())).collect()
}
